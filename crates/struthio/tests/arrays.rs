//! Arrays as people have them: of any order and type, under any name, in memory or not, they are the same images.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use parquet::basic::Encoding;
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::ColumnPath;
use struthio::data::{ArrayNames, DataSpec, Dataset, Loading, Pixels, Split, Wanted};
use tempfile::TempDir;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/arrays")
}

fn load(spec: &str, loading: &Loading<'_>) -> struthio::Result<Dataset> {
    spec.parse::<DataSpec>()?.load(loading)
}

fn test_data(spec: &str) -> Dataset {
    load(spec, &Loading::new(Split::Test)).expect(spec)
}

fn refused(spec: &str, loading: &Loading<'_>, fragments: &[&str]) {
    let message = load(spec, loading).expect_err(spec).to_string();
    for fragment in fragments {
        assert!(message.contains(fragment), "'{fragment}' is not in: {message}");
    }
}

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(&path, bytes).expect("written");
        path.display().to_string()
    }
}

fn npy_in(fortran: &str, descr: &str, shape: &[usize], data: &[u8]) -> Vec<u8> {
    let shape = shape.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ") + ",";
    let header = format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': ({shape}), }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

fn npy(descr: &str, shape: &[usize], data: &[u8]) -> Vec<u8> {
    npy_in("False", descr, shape, data)
}

fn npz(method: CompressionMethod, arrays: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in arrays {
        let options = SimpleFileOptions::default().compression_method(method);
        archive.start_file(format!("{name}.npy"), options).expect("started");
        archive.write_all(bytes).expect("written");
    }
    archive.finish().expect("finished").into_inner()
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// More images than are kept in memory, as floats, with their labels.
struct Many {
    shape: [usize; 4],
    values: Vec<f32>,
    labels: Vec<u8>,
}

impl Many {
    fn new() -> Self {
        let shape = [2000, 3, 31, 29];
        let values = (0..shape.iter().product()).map(|i: usize| (i * 7919 % 1009) as f32 / 1008.0).collect();
        Self { shape, values, labels: (0..shape[0]).map(|i| (i % 10) as u8).collect() }
    }

    fn in_memory(&self) -> Dataset {
        let labels = self.labels.iter().map(|&label| u32::from(label)).collect();
        Dataset::new("all", self.shape[1..].to_vec(), Pixels::Floats(self.values.clone()), labels)
            .expect("valid")
    }

    /// The values with the first axis running fastest.
    fn turned(&self) -> Vec<f32> {
        let [n, c, h, w] = self.shape;
        let mut turned = Vec::with_capacity(self.values.len());
        for (x, y) in (0..w).flat_map(|x| (0..h).map(move |y| (x, y))) {
            for (k, i) in (0..c).flat_map(|k| (0..n).map(move |i| (k, i))) {
                turned.push(self.values[((i * c + k) * h + y) * w + x]);
            }
        }
        turned
    }
}

#[test]
fn images_that_are_read_when_asked_for_are_those_in_memory() {
    let (place, many) = (Place::new(), Many::new());
    let whole = many.in_memory();
    let y = npy("|u1", &[2000], &many.labels);
    let y_path = place.write("y.npy", &y);
    let doubles: Vec<u8> = many.values.iter().flat_map(|value| f64::from(*value).to_be_bytes()).collect();
    let pair = |name: &str, bytes: &[u8]| format!("{},{y_path}", place.write(name, bytes));
    let x = npy("<f4", &many.shape, &floats(&many.values));
    let specs = [
        pair("plain.npy", &x),
        pair("double.npy", &npy(">f8", &many.shape, &doubles)),
        pair("fortran.npy", &npy_in("True", "<f4", &many.shape, &floats(&many.turned()))),
        place.write("stored.npz", &npz(CompressionMethod::Stored, &[("y", &y), ("x", &x)])),
        place.write("packed.npz", &npz(CompressionMethod::Deflated, &[("x", &x), ("y", &y)])),
    ];
    for spec in specs {
        let data = test_data(&spec);
        assert_eq!(data.fingerprint().expect("read"), whole.fingerprint().expect("in memory"), "{spec}");
        for i in [0, 7, 1999] {
            assert_eq!(data.image(i).expect("read"), whole.image(i).expect("in memory"), "{spec} {i}");
        }
        let (part, same) =
            (test_data(&format!("{spec}[500..1900]")), whole.range(500..1900).expect("a part"));
        assert_eq!(part.fingerprint().expect("read"), same.fingerprint().expect("in memory"), "{spec}");
        assert_eq!(part.image(3).expect("read"), same.image(3).expect("in memory"));
        assert_eq!(
            (part.index(3), part.image_with_index(503).expect("read")),
            (503, part.image(3).expect("read"))
        );
        // Parts and choices of what is not in memory.
        let [chosen, same] = [&data, &whole]
            .map(|data| data.range(100..300).and_then(|part| part.select("some", &[3, 1, 99])));
        let [chosen, same] =
            [chosen, same].map(|data| data.and_then(|data| data.range(1..3)).expect("chosen"));
        assert_eq!(chosen.fingerprint().expect("read"), same.fingerprint().expect("in memory"), "{spec}");
        assert_eq!((chosen.image(1).expect("read"), chosen.label(1)), (same.image(1).expect("in memory"), 9));
    }
}

#[test]
fn a_file_that_changes_meanwhile_is_noticed() {
    let (place, many) = (Place::new(), Many::new());
    let y = place.write("y.npy", &npy("|u1", &[2000], &many.labels));
    let bytes = npy("<f4", &many.shape, &floats(&many.values));
    let x = place.write("x.npy", &bytes);
    let data = test_data(&format!("{x},{y}"));
    assert!(data.image(5).is_ok());
    let mut file = std::fs::File::options().append(true).open(&x).expect("there");
    file.write_all(b"more").expect("written");
    let message = data.image(5).expect_err("changed").to_string();
    assert!(
        message.contains("x.npy") && message.contains("image 5") && message.contains("changed"),
        "{message}"
    );
    file.set_len(bytes.len() as u64 - 1000).expect("cut");
    assert!(data.image(1999).is_err());
}

#[test]
fn pixels_outside_are_found_before_any_work() {
    let (place, mut many) = (Place::new(), Many::new());
    let y = place.write("y.npy", &npy("|u1", &[2000], &many.labels));
    let loading = Loading::new(Split::Test);
    let spec =
        |values: &[f32]| format!("{},{y}", place.write("x.npy", &npy("<f4", &many.shape, &floats(values))));
    let last = many.values.len() - 1;
    many.values[last] = 1.5;
    many.values[0] = -0.25;
    refused(&spec(&many.values), &loading, &["image 0 has -0.25", "from -0.25 to 1.5", "normalised"]);
    refused(
        &format!("{}[1..]", spec(&many.values)),
        &loading,
        &["image 1999 has 1.5", "from 0 to 1.5", "clip"],
    );
    for (values, fragment) in [
        (vec![0.0, 255.0], "divide them by 255"),
        (vec![-1.0, 0.5], "--mean 0.5 --std 0.5"),
        (vec![f32::NAN, 0.5], "image 0 has NaN"),
    ] {
        let x = place.write("small.npy", &npy("<f4", &[1, 2], &floats(&values)));
        let y = place.write("one.npy", &npy("|u1", &[1], &[0]));
        refused(&format!("{x},{y}"), &loading, &[fragment]);
    }
}

#[test]
fn rounding_is_clipped_and_counted() {
    let place = Place::new();
    let y = place.write("y.npy", &npy("|u1", &[3], &[0, 1, 0]));
    let values = [-2.98e-8, 0.5, 1.000_000_1, 1.0, 0.25, 0.0];
    let x = place.write("x.npy", &npy("<f4", &[3, 2], &floats(&values)));
    let data = test_data(&format!("{x},{y}"));
    let images: Vec<f32> = (0..3).flat_map(|i| data.image(i).expect("an image")).collect();
    assert_eq!(images, [0.0, 0.5, 1.0, 1.0, 0.25, 0.0]);
    assert_eq!(data.notes().len(), 1);
    assert!(data.notes()[0].starts_with("2 pixel values in 2 images are outside"), "{:?}", data.notes());
}

#[test]
fn arrays_under_other_names() {
    let place = Place::new();
    let image = |value: u8| npy("|u1", &[1, 2], &[value, 0]);
    let label = |value: u8| npy("|u1", &[1], &[value]);
    let bytes = npz(
        CompressionMethod::Deflated,
        &[
            ("x_train", &image(1)),
            ("y_train", &label(1)),
            ("x_test", &image(2)),
            ("y_test", &label(2)),
            ("extra", &image(3)),
        ],
    );
    let spec = place.write("keras.npz", &bytes);
    let found = |split: Split, x: Option<&str>, y: Option<&str>| {
        let arrays = ArrayNames { x, y };
        let data = load(&spec, &Loading { arrays, ..Loading::new(split) }).expect("found");
        ((255.0 * data.image(0).expect("an image")[0]).round(), data.label(0), data.notes().join("; "))
    };
    let (pixel, label, note) = found(Split::Test, None, None);
    assert_eq!((pixel, label), (2.0, 2));
    assert!(note.contains("'x_test'") && note.contains("extra"), "{note}");
    let (pixel, label, _) = found(Split::Train, None, None);
    assert_eq!((pixel, label), (1.0, 1));
    let (pixel, label, _) = found(Split::Test, Some("extra"), Some("y_train"));
    assert_eq!((pixel, label), (3.0, 1));
    let named = |x| Loading { arrays: ArrayNames { x: Some(x), y: None }, ..Loading::new(Split::Test) };
    refused(&spec, &named("pixels"), &["keras.npz", "no array 'pixels'", "extra, x_test"]);
    refused("mnist", &named("x"), &["--x and --y", ".npz"]);
}

#[test]
fn labels_from_one_are_explained() {
    let place = Place::new();
    let x = place.write("x.npy", &npy("|u1", &[3, 1], &[0; 3]));
    let wanted = Some(Wanted { model: "the model", shape: &[1], classes: Some(3) });
    let loading = Loading { wanted, ..Loading::new(Split::Test) };
    let with = |labels: &[u8]| format!("{x},{}", place.write("y.npy", &npy("|u1", &[3], labels)));
    refused(&with(&[1, 3, 2]), &loading, &["go up to 3", "3 classes (0 to 2)", "subtract one"]);
    let message = load(&with(&[0, 3, 2]), &loading).expect_err("beyond").to_string();
    assert!(!message.contains("subtract"), "{message}");
}

#[test]
fn inverted_images() {
    let place = Place::new();
    let y = place.write("y.npy", &npy("|u1", &[1], &[0]));
    let bytes = place.write("x.npy", &npy("|u1", &[1, 2], &[0, 51]));
    let reals = place.write("f.npy", &npy("<f4", &[1, 2], &floats(&[0.0, 0.25])));
    let inverted = Loading { inverted: true, ..Loading::new(Split::Test) };
    let of = |spec: &str| load(spec, &inverted).expect("data");
    assert_eq!(of(&format!("{bytes},{y}")).image(0).expect("an image"), [1.0, 0.8]);
    assert_eq!(of(&format!("{reals},{y}")).image(0).expect("an image"), [1.0, 0.75]);
    let (plain, dark) = (test_data("mnist[..3]"), of("mnist[..3]"));
    let sums: Vec<f32> = plain
        .image(2)
        .expect("an image")
        .iter()
        .zip(dark.image(2).expect("an image"))
        .map(|(a, b)| a + b)
        .collect();
    assert!(sums.iter().all(|sum| (sum - 1.0).abs() < 1e-6));
    assert_ne!(plain.fingerprint().expect("MNIST"), dark.fingerprint().expect("MNIST"));
}

/// What `NumPy` wrote is what `NumPy` wrote in the plainest way.
#[test]
fn arrays_of_numpy() {
    let expected = test_data(&fixtures().join("plain.npz").display().to_string());
    for name in
        ["fortran", "big_endian", "half", "double", "integers", "one_hot", "column", "real_labels", "stored"]
    {
        let data = test_data(&fixtures().join(format!("{name}.npz")).display().to_string());
        assert_eq!((data.shape(), data.len()), (expected.shape(), expected.len()), "{name}");
        for i in 0..data.len() {
            assert_eq!(data.label(i), expected.label(i), "{name}");
            let (ours, theirs) = (data.image(i).expect("an image"), expected.image(i).expect("an image"));
            let off = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            // A half has eleven digits.
            let allowed = if name == "half" { 2.5e-4 } else { 6e-8 };
            assert!(off <= allowed, "{name}: image {i} is off by {off}");
        }
    }
}

fn records(labels: &[&[u8]]) -> Vec<u8> {
    labels.iter().enumerate().flat_map(|(i, label)| [label, &[i as u8; 3072][..]].concat()).collect()
}

#[test]
fn cifar_as_it_is_unpacked() {
    let place = Place::new();
    let names = "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n";
    place.write("ten/batches.meta.txt", names.as_bytes());
    place.write("ten/data_batch_1.bin", &records(&[&[1], &[2]]));
    place.write("ten/data_batch_2.bin", &records(&[&[3]]));
    let file = place.write("ten/test_batch.bin", &records(&[&[9], &[0], &[5]]));
    let folder = place.0.path().join("ten").display().to_string();
    for spec in [&folder, &file] {
        let data = test_data(spec);
        assert_eq!((data.len(), data.shape(), data.label(0)), (3, &[3, 32, 32][..], 9));
        assert_eq!((data.class(9), data.image(2).expect("an image")[3071]), ("truck".into(), 2.0 / 255.0));
    }
    let train = load(&format!("{folder}[1..]"), &Loading::new(Split::Train)).expect("a training");
    assert_eq!((train.len(), train.label(0), train.label(1)), (2, 2, 3));
    assert_eq!(train.image(0).expect("an image")[0], 1.0 / 255.0);
    assert_eq!(train.image(1).expect("an image")[0], 0.0, "the first of the second file");

    let hundred = place.write("hundred/test.bin", &records(&[&[19, 99], &[0, 7]]));
    let data = test_data(&hundred);
    assert_eq!((data.label(0), data.label(1)), (99, 7));
    let loading = Loading::new(Split::Test);
    refused(&place.write("odd.bin", &[0; 3000]), &loading, &["3000 bytes", "3073", "3074"]);
    refused(&place.write("bad.bin", &records(&[&[10]])), &loading, &["label of image 0 is 10", "CIFAR-10"]);
    place.write("python/batches.meta", b"\x80\x02}");
    let pickle = place.write("python/data_batch_1", b"\x80\x02}q\x01");
    let python = place.0.path().join("python").display().to_string();
    refused(&python, &loading, &["pickle", "binary version"]);
    refused(&pickle, &loading, &["pickle", "binary version"]);
}

#[test]
fn a_compressed_idx_pair_that_does_not_fit_in_memory() {
    let place = Place::new();
    let shape = [25_000_u32, 28, 28];
    let mut images = vec![0, 0, 8, 3];
    shape.iter().for_each(|size| images.extend(size.to_be_bytes()));
    images.extend((0..25_000 * 784).map(|i: usize| (i / 784 * 31 + i % 7) as u8));
    let mut labels = vec![0, 0, 8, 1];
    labels.extend(25_000_u32.to_be_bytes());
    labels.extend((0..25_000).map(|i: usize| (i % 10) as u8));
    let y = place.write("y", &labels);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&images).expect("written");
    let [packed, plain] = [("x.gz", encoder.finish().expect("finished")), ("x", images)]
        .map(|(name, bytes)| place.write(name, &bytes));
    let [packed, plain] = [packed, plain].map(|x| test_data(&format!("{x},{y}")));
    assert_eq!(packed.fingerprint().expect("read"), plain.fingerprint().expect("read"));
    for i in [0, 12_345, 24_999] {
        let expected: Vec<f32> =
            (0..784).map(|p| ((i * 31 + (i * 784 + p) % 7) as u8) as f32 / 255.0).collect();
        assert_eq!(packed.image(i).expect("read"), expected);
        assert_eq!(plain.image(i).expect("read"), expected);
    }
}

#[test]
fn parquet_files_of_data_hubs() {
    let folder = fixtures().with_file_name("parquet");
    let path = |name: &str| folder.join(name).display().to_string();
    let wanted = Some(Wanted { model: "the model", shape: &[3, 8, 8], classes: Some(3) });
    let loading = Loading { wanted, threads: 2, ..Loading::new(Split::Test) };
    let expected = load(&path("pixels.npz"), &loading).expect("an archive");
    for name in ["snappy.parquet", "gzip.parquet", "words.parquet", "snappy.parquet[1..]", "words.parquet[3]"]
    {
        let data = load(&path(name), &loading).expect(name);
        for i in 0..data.len() {
            let at = data.index(i);
            assert_eq!(data.image(i).expect("an image"), expected.image(at).expect("an image"), "{name} {i}");
            assert_eq!(data.label(i), expected.label(at), "{name} {i}");
        }
        assert_eq!(
            (data.len() + data.index(0) == 6, data.len() == 1),
            (!name.ends_with("[3]"), name.ends_with("[3]"))
        );
        assert!(data.notes().iter().any(|note| note.contains("images are the column")), "{:?}", data.notes());
        if !name.starts_with("gzip") {
            assert_eq!(data.class(2), "hen", "{name}");
        }
    }
    assert_eq!(test_data(&path("snappy.parquet")).shape(), [3, 8, 8], "as the first image");
    for (name, fragments) in [
        ("zstd.parquet", &["zstd.parquet", "ZSTD", "snappy"][..]),
        ("unlabelled.parquet", &["column of labels", "found image, caption", "--y NAME"]),
        ("snappy.parquet[6]", &["beyond the 6 images"]),
    ] {
        refused(&path(name), &loading, fragments);
    }
}

/// Other writers number the row groups in two bytes, and write pages of the second version.
#[test]
fn parquet_files_of_another_writer() {
    let picture = std::fs::read(fixtures().with_file_name("images").join("grey.png")).expect("a picture");
    let schema = parse_message_type("message m { required binary image; required int64 label; }");
    let schema = Arc::new(schema.expect("a schema"));
    let place = Place::new();
    for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
        let properties = WriterProperties::builder()
            .set_writer_version(version)
            .set_compression(parquet::basic::Compression::SNAPPY)
            .set_column_encoding(ColumnPath::from("label"), Encoding::PLAIN)
            .set_column_encoding(ColumnPath::from("image"), Encoding::PLAIN)
            .set_dictionary_enabled(version == WriterVersion::PARQUET_1_0);
        let mut bytes = Vec::new();
        let mut file = SerializedFileWriter::new(&mut bytes, schema.clone(), Arc::new(properties.build()))
            .expect("begun");
        for group in 0..3 {
            let mut row_group = file.next_row_group().expect("a group");
            let mut images = row_group.next_column().expect("written").expect("images");
            let pictures = vec![ByteArray::from(picture.clone()); 4];
            images.typed::<ByteArrayType>().write_batch(&pictures, None, None).expect("written");
            images.close().expect("written");
            let mut labels = row_group.next_column().expect("written").expect("labels");
            labels.typed::<Int64Type>().write_batch(&[group, 1, 2, 3], None, None).expect("written");
            labels.close().expect("written");
            row_group.close().expect("written");
        }
        file.close().expect("written");
        let data = test_data(&place.write("other.parquet", &bytes));
        let labels: Vec<usize> = (0..data.len()).map(|i| data.label(i)).collect();
        assert_eq!(labels, [0, 1, 2, 3, 1, 1, 2, 3, 2, 1, 2, 3]);
    }
}

#[test]
fn rows_without_an_image_are_left_out() {
    let spec = fixtures().with_file_name("parquet").join("gaps.parquet").display().to_string();
    let data = test_data(&spec);
    assert_eq!((data.len(), data.index(0)), (1, 0));
    let notes = data.notes().join("; ");
    assert!(
        notes.contains("left out (--strict refuses it): gaps.parquet, row 1: there is no image"),
        "{notes}"
    );
    refused(
        &spec,
        &Loading { strict: true, ..Loading::new(Split::Test) },
        &["gaps.parquet, row 1", "no image"],
    );
    // The images behind keep their numbers.
    refused(&format!("{spec}[1..]"), &Loading::new(Split::Test), &["unusable image", "row 1"]);
}

#[test]
fn shards_of_parquet_are_one_set() {
    let (place, folder) = (Place::new(), fixtures().with_file_name("parquet"));
    let bytes = |name: &str| std::fs::read(folder.join(name)).expect("a fixture");
    for (name, file) in [
        ("data/test-00000-of-00002.parquet", "snappy.parquet"),
        ("data/test-00001-of-00002.parquet", "snappy.parquet"),
        ("data/train-00000-of-00001.parquet", "words.parquet"),
    ] {
        place.write(&format!("hub/{name}"), &bytes(file));
    }
    let spec = place.0.path().join("hub").display().to_string();
    let data = test_data(&spec);
    assert_eq!((data.len(), data.name()), (12, "hub"));
    assert!(data.notes()[0].contains("2 of 3 Parquet files called test"), "{:?}", data.notes());
    let part = test_data(&format!("{spec}[5..8]"));
    for i in 0..3 {
        assert_eq!(part.image(i).expect("an image"), data.image(5 + i).expect("an image"));
        assert_eq!(part.label(i), [0, 2, 0][i]);
    }
    assert_eq!(data.image(7).expect("an image"), data.image(1).expect("an image"));
    assert_eq!(load(&spec, &Loading::new(Split::Train)).expect("a training").len(), 6);
    let whole = bytes("snappy.parquet");
    let loading = Loading::new(Split::Test);
    for cut in [whole.len() / 2, whole.len() - 1, 4, 12] {
        refused(&place.write("cut.parquet", &whole[..cut]), &loading, &["cut.parquet", "damaged"]);
    }
}
