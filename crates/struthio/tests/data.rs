//! Files and folders as data: what comes out equals what Pillow and `NumPy` make of them, and nothing
//! that is wrong with a file gets further than an error that names it.

use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use struthio::data::{ClassNames, DataSpec, Dataset, Loading, Split, Wanted};
use tempfile::TempDir;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// Loads data for a model of this input.
fn load_for(spec: &str, shape: &[usize]) -> struthio::Result<Dataset> {
    let wanted = Some(Wanted { model: "the model", shape, classes: Some(11) });
    spec.parse::<DataSpec>()?.load(&Loading { wanted, threads: 2, ..Loading::new(Split::Test) })
}

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn write(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, bytes).expect("written");
        self.path(name)
    }

    fn refused(&self, spec: &str, shape: &[usize], fragments: &[&str]) {
        self.says(&load_for(spec, shape).expect_err(spec).to_string(), fragments);
    }

    fn says(&self, message: &str, fragments: &[&str]) {
        assert!(message.contains(self.0.path().to_str().expect("UTF-8")), "no name in: {message}");
        for fragment in fragments {
            assert!(message.contains(fragment), "'{fragment}' is not in: {message}");
        }
    }
}

fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    npy_in("False", descr, shape, data)
}

fn npy_in(fortran: &str, descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

fn npz(arrays: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in arrays {
        archive.start_file(*name, SimpleFileOptions::default()).expect("started");
        archive.write_all(bytes).expect("written");
    }
    archive.finish().expect("finished").into_inner()
}

fn idx(sizes: &[u32], data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, sizes.len() as u8];
    sizes.iter().for_each(|size| bytes.extend(size.to_be_bytes()));
    bytes.extend(data);
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("written");
    encoder.finish().expect("finished")
}

fn png(width: u32, height: u32, grey: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Grayscale);
    let mut writer = encoder.write_header().expect("a header");
    writer.write_image_data(&vec![grey; (width * height) as usize]).expect("written");
    writer.finish().expect("finished");
    bytes
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

#[test]
fn a_folder_of_images_is_what_pillow_makes_of_it() {
    let folder = fixtures().join("images").display().to_string();
    for (name, shape) in [("images_colour.npz", [3, 16, 16]), ("images_grey.npz", [1, 9, 22])] {
        let expected = load_for(&fixtures().join(name).display().to_string(), &shape).expect("an archive");
        let found = load_for(&folder, &shape).expect("a folder");
        assert_eq!((found.shape(), found.len(), found.name()), (expected.shape(), 11, "images"));
        for i in 0..found.len() {
            assert_eq!(found.label(i), expected.label(i));
            let (ours, theirs) = (found.image(i).expect("an image"), expected.image(i).expect("an image"));
            let off = ours.iter().zip(&theirs).map(|(a, b)| 255.0 * (a - b).abs()).fold(0.0, f32::max);
            // The first seven are PNG, and equal; but Pillow 13 takes some tall pictures (2 and 3) along
            // the columns first, and decoders of JPEG round differently.
            let allowed = [0, 0, 1, 1, 0, 0, 0, 2, 2, 2, 2][i] as f32 + 1e-3;
            assert!(off <= allowed, "image {i} of {name} is off by {off}");
        }
    }
}

#[test]
fn a_part_is_a_part_of_the_whole() {
    let folder = fixtures().join("images").display().to_string();
    let archive = fixtures().join("images_colour.npz").display().to_string();
    for spec in [folder, archive, "mnist".into()] {
        let shape = if spec == "mnist" { vec![784] } else { vec![3, 16, 16] };
        let part = load_for(&format!("{spec}[3..5]"), &shape).expect("a part");
        let whole = load_for(&format!("{spec}[0..9]"), &shape).expect("more");
        assert_eq!((part.len(), part.index(0)), (2, 3));
        for i in 0..2 {
            assert_eq!(
                (part.image(i).expect("an image"), part.label(i)),
                (whole.image(3 + i).expect("an image"), whole.label(3 + i))
            );
        }
        assert!(part.name().ends_with("[3..5]"));
    }
}

#[test]
fn arrays_of_every_type() {
    let place = Place::new();
    let expected = [0.0, 0.5, 1.0, 0.25];
    let singles: Vec<u8> = expected.iter().flat_map(|value: &f32| value.to_be_bytes()).collect();
    let doubles: Vec<u8> = expected.iter().flat_map(|value| f64::from(*value).to_le_bytes()).collect();
    for (descr, data) in [(">f4", &singles), ("<f8", &doubles)] {
        for (kind, labels) in [
            ("|i1", &[3, 1][..]),
            ("|u1", &[3, 1]),
            ("<i8", &[3, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]),
        ] {
            let x = place.write("x.npy", &npy(descr, "(2, 2)", data));
            let y = place.write("y.npy", &npy(kind, "(2,)", labels));
            let data = load_for(&format!("{x},{y}"), &[2]).expect("a pair");
            assert_eq!(
                [data.image(0).expect("an image"), data.image(1).expect("an image")].concat(),
                expected
            );
            assert_eq!(([data.label(0), data.label(1)], data.name()), ([3, 1], "x.npy,y.npy"));
        }
    }
    let archive =
        npz(&[("x.npy", &npy("|u1", "(1, 2)", &[0, 255])), ("y.npy", &npy("<u2", "(1, 1)", &[7, 0]))]);
    let data = load_for(&place.write("bytes.npz", &archive), &[2]).expect("an archive");
    assert_eq!(
        (data.image(0).expect("an image"), data.label(0), data.name()),
        (vec![0.0, 1.0], 7, "bytes.npz")
    );
}

#[test]
fn idx_files_are_mnist() {
    let place = Place::new();
    let images = idx(&[2, 2, 3], &(0..12).collect::<Vec<u8>>());
    let labels = idx(&[2], &[4, 9]);
    for pack in [|bytes: &[u8]| bytes.to_vec(), gzip] {
        let x = place.write("t-images-idx3-ubyte", &pack(&images));
        let y = place.write("t-labels-idx1-ubyte", &pack(&labels));
        let data = load_for(&format!("{x},{y}"), &[1, 2, 3]).expect("a pair");
        assert_eq!((data.shape(), data.label(1)), (&[1, 2, 3][..], 9));
        assert_eq!(data.image(1).expect("an image")[0], 6.0 / 255.0);
    }
    // A truncated stream, and one that goes on.
    let y = place.write("y", &labels);
    let packed = gzip(&images);
    for bad in [packed[..packed.len() - 9].to_vec(), gzip(&[&images[..], &[0]].concat())] {
        let x = place.write("x.gz", &bad);
        place.refused(&format!("{x},{y}"), &[2, 3], &["x.gz"]);
    }
}

#[test]
fn channels_last_is_turned_and_said() {
    let place = Place::new();
    let pixels: Vec<u8> = (0..12).collect();
    let bytes = npz(&[("x.npy", &npy("|u1", "(1, 2, 2, 3)", &pixels)), ("y.npy", &npy("|u1", "(1,)", &[0]))]);
    let data = load_for(&place.write("last.npz", &bytes), &[3, 2, 2]).expect("fits");
    assert_eq!(data.shape(), [3, 2, 2]);
    let red: Vec<f32> = [0, 3, 6, 9].iter().map(|&byte| f32::from(byte as u8) / 255.0).collect();
    assert_eq!(data.image(0).expect("an image")[..4], red);
    assert!(data.notes()[0].contains("channels last"), "{:?}", data.notes());
}

#[test]
fn brackets_and_commas_in_names() {
    let place = Place::new();
    let bytes =
        npz(&[("x.npy", &npy("|u1", "(3, 1)", &[1, 2, 3])), ("y.npy", &npy("|u1", "(3,)", &[0, 1, 2]))]);
    let path = place.write("odd[0..2]", &bytes);
    assert_eq!(load_for(&path, &[1]).expect("as it is").len(), 3);
    assert_eq!(load_for(&format!("{path}[1..2]"), &[1]).expect("a part").len(), 1);
    let path = place.write("a,b.npz", &bytes);
    assert_eq!(load_for(&path, &[1]).expect("no pair").len(), 3);
}

#[test]
fn arrays_that_are_not_data() {
    let place = Place::new();
    let y = place.write("y.npy", &npy("<i4", "(2,)", &[1, 0, 0, 0, 2, 0, 0, 0]));
    let pair = |x: &[u8]| {
        let x = place.write("x.npy", x);
        format!("{x},{y}")
    };
    for (bytes, fragments) in [
        (npy("<f4", "(2, 1)", &floats(&[-2.5, 255.0])), &["[0, 1]", "-2.5 to 255", "uint8"][..]),
        (npy("<f4", "(2, 1)", &floats(&[0.5, f32::NAN])), &["image 1 has NaN"]),
        (npy("<i2", "(2, 1)", &[0, 0, 0, 1]), &["image 1 has the value 256", "0 to 255"]),
        (npy("|u1", "(2,)", &[0; 2]), &["N × the shape"]),
        (npy("|u1", "(0, 1)", &[]), &["no images"]),
        (npy("|u1", "(0, 999999999999, 999999999999)", &[]), &["no images"]),
        (npy("|u1", "(2, 1)", &[0; 1]), &["take 2 bytes", "there are 1"]),
        (npy("|u1", "(2, 1)", &[0; 3]), &["there are 3"]),
        (npy("<f4", "(4000000000, 1000000)", &[0; 3]), &["there are 3"]),
        (npy("<f4", "(99999999999, 99999999999)", &[0; 3]), &["too many"]),
        (npy_in("True", "<f4", "(2, 2)", &[0; 15]), &["take 16 bytes", "there are 15"]),
        (npy("|u1", "(1, 16777217)", &vec![0; 16_777_217]), &["16777217", "are not taken"]),
        (npy("|O", "(2, 1)", &[0; 8]), &["'|O'"]),
        (b"\x93NUMPY\x01".to_vec(), &["truncated"]),
        (b"hello, numbers".to_vec(), &["neither a NumPy array", "hello"]),
        (Vec::new(), &["empty"]),
        (idx(&[2, 1], &[0; 9]), &["there are 9"]),
        (idx(&[u32::MAX, u32::MAX, u32::MAX], &[0]), &["too many"]),
        (gzip(&idx(&[u32::MAX, 2000], &[0])), &["there cannot be more"]),
        (gzip(&idx(&[2, 1], &[0])), &["truncated"]),
        (gzip(b"text"), &["not an IDX file"]),
    ] {
        place.refused(&pair(&bytes), &[1], &[fragments, &["x.npy"]].concat());
    }
    let x = npy("|u1", "(2, 1)", &[0; 2]);
    for (labels, fragments) in [
        (npy("|u1", "(3,)", &[0; 3]), &["3 labels for 2 images"][..]),
        (npy("<f4", "(2,)", &floats(&[1.0, 0.5])), &["image 1 is 0.5"]),
        (npy("|i1", "(2,)", &[1, 255]), &["image 1 is -1"]),
        (npy("<i8", "(2,)", &[255, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), &["1099511627775"]),
        (npy("|u1", "(2, 10)", &[0; 20]), &["10 of the 10 labels of image 0"]),
        (npy("|u1", "(2, 10, 1)", &[0; 20]), &["[2, 10, 1]", "a whole number for each"]),
    ] {
        let (x, y) = (place.write("x.npy", &x), place.write("bad.npy", &labels));
        place.refused(&format!("{x},{y}"), &[1], &[fragments, &["bad.npy"]].concat());
    }
    let x1 = place.write("x.npy", &x);
    let y1 = place.write("y1.npy", &npy("|u1", "(2,)", &[3, 11]));
    place.refused(&format!("{x1},{y1}"), &[1], &["go up to 11", "11 classes (0 to 10)"]);
    place.refused(&place.write("alone.npy", &x), &[1], &["images.npy,labels.npy"]);
    place.refused(&place.write("alone-idx3", &idx(&[1, 1], &[0])), &[1], &["images-idx3-ubyte"]);
    place.refused(&format!("{y},{}", place.path("gone.npy")), &[1], &["no file", "gone.npy"]);
}

#[test]
fn archives_that_are_not_data() {
    let place = Place::new();
    let x = npy("|u1", "(2, 1)", &[0; 2]);
    let y = npy("|u1", "(2,)", &[0, 1]);
    let good = npz(&[("x.npy", &x), ("y.npy", &y)]);
    let refused =
        |bytes: &[u8], fragments: &[&str]| place.refused(&place.write("a.npz", bytes), &[1], fragments);
    refused(b"", &["empty"]);
    refused(b"text", &["not an NPZ file"]);
    refused(&good[..good.len() / 2], &["damaged NPZ"]);
    refused(
        &npz(&[("one.npy", &x), ("two.npy", &y)]),
        &["no array 'x'", "found one, two", "--x NAME --y NAME"],
    );
    refused(&npz(&[]), &["a.npz"]);
    refused(&npz(&[("x.npy", &x)]), &["'y' with labels", "found x"]);
    refused(&npz(&[("x.npy", &x[..9]), ("y.npy", &y)]), &["array 'x'", "truncated"]);
    // The header promises more than the archive can hold, or than it does hold.
    refused(&npz(&[("x.npy", &npy("|u1", "(2, 1000000000000)", &[0; 2])), ("y.npy", &y)]), &["array 'x'"]);
    let at = good.windows(4).rposition(|bytes| bytes == b"PK\x01\x02").expect("a directory entry");
    let mut bomb = good.clone();
    bomb[at + 24..at + 28].copy_from_slice(&[0xf0, 0xff, 0xff, 0x7f]);
    refused(&bomb, &["a.npz"]);
    let mut flipped = npz(&[("x.npy", &npy("|u1", "(2, 500)", &[7; 1000])), ("y.npy", &y)]);
    flipped[60] ^= 0x40;
    place.refused(&place.write("a.npz", &flipped), &[500], &["a.npz"]);
}

#[test]
fn folders_are_numbered_by_name() {
    let place = Place::new();
    for (name, grey) in [("hen/b.png", 10), ("hen/a.PNG", 20), ("auk/c.png", 30), (".hidden/d.png", 40)] {
        place.write(&format!("birds/{name}"), &png(2, 2, grey));
    }
    place.write("birds/hen/notes.txt", b"no image");
    let spec = place.path("birds");
    let data = load_for(&spec, &[1, 2, 2]).expect("a folder");
    let seen: Vec<_> =
        (0..3).map(|i| (data.label(i), (255.0 * data.image(i).expect("an image")[0]).round())).collect();
    assert_eq!(seen, [(0, 30.0), (1, 20.0), (1, 10.0)]);
    let notes = data.notes().join("\n");
    assert!(
        notes.contains("0 auk, 1 hen") && notes.contains("1 file that is no picture (1 .txt)"),
        "{notes}"
    );
    assert_eq!((data.file(0), data.file(2)), (Some("auk/c.png"), Some("hen/b.png")));

    let names = ClassNames::parse("names.txt", "emu\nhen\nauk\n").expect("valid");
    let load = |names: &ClassNames| {
        spec.parse::<DataSpec>()?.load(&Loading { names: Some(names), ..Loading::new(Split::Test) })
    };
    let data = load(&names).expect("known");
    assert_eq!((0..3).map(|i| data.label(i)).collect::<Vec<_>>(), [2, 1, 1]);
    assert_eq!(data.shape(), [1, 2, 2]);
    let few = ClassNames::parse("names.txt", "emu\n").expect("valid");
    let message = load(&few).expect_err("unknown").to_string();
    assert!(message.contains("'auk' is not in names.txt") && message.contains("'hen'"), "{message}");
}

#[test]
fn folders_that_are_not_data() {
    let place = Place::new();
    std::fs::create_dir_all(place.path("empty/class")).expect("made");
    place.refused(&place.path("empty"), &[1, 2, 2], &["no images", "labels.csv"]);
    place.write("split/train/hen/a.png", &png(2, 2, 0));
    place.refused(&place.path("split"), &[1, 2, 2], &["no images", "perhaps", "split/train was meant"]);

    let good = png(4, 4, 9);
    let jpeg = std::fs::read(fixtures().join("images/plain.jpg")).expect("a fixture");
    let mut huge = good.clone();
    huge[16..24].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]);
    let mut lying = good.clone();
    lying[16..24].copy_from_slice(&[0, 0, 0x1f, 0xff, 0, 0, 0x1f, 0xff]);
    for at in [&mut huge, &mut lying] {
        let mut crc = flate2::Crc::new();
        crc.update(&at[12..29]);
        at[29..33].copy_from_slice(&crc.sum().to_be_bytes());
    }
    let mut vast = jpeg.clone();
    let frame = jpeg.windows(2).position(|bytes| bytes == [0xff, 0xc0]).expect("a frame");
    vast[frame + 5..frame + 9].copy_from_slice(&[0x1f, 0xff, 0x1f, 0xff]);
    let bad: [(&str, &[u8], &str); 9] = [
        ("vast.jpg", &vast, "8191 × 8191 pixels are too many for"),
        ("empty.png", b"", "the file is empty"),
        ("text.jpg", b"just words", "no picture: expected PNG, JPEG, WebP"),
        ("short.png", &good[..good.len() - 20], "damaged PNG"),
        ("head.png", &good[..20], "damaged PNG"),
        ("huge.png", &huge, "pixels"),
        ("lying.png", &lying, "are too many for"),
        ("half.jpg", &jpeg[..jpeg.len() / 2], "of 48 rows are missing"),
        ("head.jpg", &jpeg[..30], "damaged JPEG"),
    ];
    place.write("bad/a/good.png", &good);
    for (name, bytes, _) in bad {
        place.write(&format!("bad/a/{name}"), bytes);
    }
    let loading = Loading { strict: true, ..Loading::new(Split::Test) };
    let refusal = place.path("bad").parse::<DataSpec>().expect("a folder").load(&loading).expect_err("bad");
    let left_out = load_for(&place.path("bad"), &[1, 2, 2]).expect("one is good").notes().join("\n");
    for message in [refusal.to_string(), left_out] {
        assert!(message.contains("9 times") || message.contains("9 of 10 files cannot be used"), "{message}");
        assert!(!message.contains("good.png"), "{message}");
        for (name, _, what) in bad {
            let line = message.lines().find(|line| line.contains(name)).unwrap_or_default();
            assert!(line.contains(what), "'{what}' is not said of {name} in: {message}");
        }
    }
    place.refused(&format!("{}[0..99]", place.path("bad")), &[1, 2, 2], &["beyond the 10 images"]);
    place.refused(&place.path("bad"), &[2, 2, 2], &["[2, 2, 2]", "3 × height × width"]);

    place.write("table/labels.csv", b"file,label\na.png,x\nb.png\n");
    place.refused(&place.path("table"), &[1, 2, 2], &["labels.csv", "line 3"]);
    place.write("table/labels.csv", b"file,label\ngone.png,1\n/dev/zero,2\n.,3\n");
    place.refused(&place.path("table"), &[1, 2, 2], &["gone.png", "/dev/zero: not a regular file"]);
}

#[test]
fn damaged_files_are_named_and_left_out() {
    let place = Place::new();
    for i in 0..40 {
        let good = png(2, 2, i);
        let bytes = if i % 8 == 3 { &good[..40] } else { &good };
        place.write(&format!("many/{}/{i:02}.png", i % 2), bytes);
    }
    let data = load_for(&place.path("many"), &[1, 2, 2]).expect("most are good");
    // Listed are 0/00, 0/02, .. 0/38, 1/01, .. and those with 3, 11, 19, 27 and 35 are damaged.
    assert_eq!((data.len(), data.index(20), data.index(21), data.index(34)), (35, 20, 22, 39));
    assert_eq!((data.file(20), data.file(21)), (Some("1/01.png"), Some("1/05.png")));
    assert_eq!(data.image_with_index(22).expect("an image"), data.image(21).expect("an image"));
    let notes = data.notes().join("\n");
    assert!(notes.contains("5 of 40 files cannot be used and are left out (--strict"), "{notes}");
    assert!(notes.contains("1/03.png: damaged PNG") && notes.contains("1/35.png: damaged PNG"), "{notes}");
    // A part has the same numbers, and counts the damaged ones, too.
    let part = load_for(&format!("{}[20..24]", place.path("many")), &[1, 2, 2]).expect("a part");
    assert_eq!((part.len(), part.index(0), part.index(1), part.index(2)), (3, 20, 22, 23));
    assert_eq!(
        (part.image(1).expect("an image"), part.file(1)),
        (data.image(21).expect("an image"), data.file(21))
    );
    let again = part.range(1..3).expect("a part of it");
    assert_eq!((again.index(0), again.file(0)), (22, Some("1/05.png")));
    place.refused(&format!("{}[21..22]", place.path("many")), &[1, 2, 2], &["1/03.png"]);
}

#[test]
fn a_jpeg_that_ends_too_early_is_used_and_named() {
    let place = Place::new();
    let jpeg = std::fs::read(fixtures().join("images/plain.jpg")).expect("a fixture");
    place.write("cut/0/cut.jpg", &jpeg[..jpeg.len() - 12]);
    place.write("cut/1/fine.jpg", &jpeg);
    let data = load_for(&place.path("cut"), &[3, 48, 64]).expect("both");
    let notes = data.notes().join("\n");
    assert_eq!(data.len(), 2);
    assert!(
        notes.contains("a file is damaged but used: 0/cut.jpg: it ends too early")
            && !notes.contains("fine.jpg"),
        "{notes}"
    );
    let same = data
        .image(0)
        .expect("an image")
        .iter()
        .zip(data.image(1).expect("an image"))
        .filter(|(a, b)| **a == *b)
        .count();
    assert!(same > data.image_len() / 2);
}

#[test]
fn pictures_alone_have_no_labels() {
    let place = Place::new();
    for (name, grey) in
        [("b.png", 10), ("a.png", 20), ("readme", 0), ("c.txt", 0), ("d.TXT", 0), ("Thumbs.db", 0)]
    {
        place
            .write(&format!("flat/{name}"), &if grey > 0 { png(2, 2, grey) } else { b"no picture".to_vec() });
    }
    place.write("flat/without_extension", &png(2, 2, 30));
    let data = load_for(&place.path("flat"), &[1, 2, 2]).expect("pictures");
    let seen: Vec<_> = (0..3)
        .map(|i| (data.file(i).expect("a name"), (255.0 * data.image(i).expect("an image")[0]).round()))
        .collect();
    assert_eq!(seen, [("a.png", 20.0), ("b.png", 10.0), ("without_extension", 30.0)]);
    assert!(!data.is_labelled() && data.class_names().is_empty());
    let notes = data.notes().join("\n");
    assert!(
        notes.contains("left out 3 files that are no pictures (2 .txt, 1 without an extension)"),
        "{notes}"
    );

    let one = load_for(&place.path("flat/b.png"), &[1, 2, 2]).expect("one picture");
    assert_eq!((one.len(), one.name(), one.file(0), one.is_labelled()), (1, "b.png", Some("b.png"), false));
    place.write("broken.png", &png(2, 2, 1)[..30]);
    place.refused(&place.path("broken.png"), &[1, 2, 2], &["broken.png: damaged PNG"]);
}

#[test]
fn what_systems_leave_in_folders_is_no_class() {
    let place = Place::new();
    for name in ["cat/a.png", "dog/b.png", "__MACOSX/cat/._a.png", "__MACOSX/c.png", "$RECYCLE.BIN/d.png"] {
        place.write(&format!("zip/{name}"), &png(2, 2, 5));
    }
    for name in [".DS_Store", "desktop.ini", "cat/Thumbs.db", "cat/._a.png", "dog/.DS_Store"] {
        place.write(&format!("zip/{name}"), b"clutter");
    }
    let data = load_for(&place.path("zip"), &[1, 2, 2]).expect("two classes");
    assert_eq!((data.len(), data.label(1), data.class_names().len()), (2, 1, 2));
    assert!(data.notes().iter().all(|note| !note.contains("left out")), "{:?}", data.notes());
}

#[test]
fn labels_beyond_the_model_name_their_folder() {
    let place = Place::new();
    let refused = |folder: &str, classes: usize, fragments: &[&str]| {
        let wanted = Some(Wanted { model: "the model", shape: &[1, 2, 2], classes: Some(classes) });
        let spec = place.path(folder).parse::<DataSpec>().expect("a folder");
        let error = spec.load(&Loading { wanted, ..Loading::new(Split::Test) }).expect_err(folder);
        place.says(&error.to_string(), fragments);
    };
    for name in ["one/1/a.png", "one/2/b.png", "words/cat/a.png", "words/dog/a.png", "words/extra/a.png"] {
        place.write(name, &png(2, 2, 5));
    }
    let counted = [
        "the sub-folders are named 1 to 2 and stand for themselves",
        "(0 to 1)",
        "counted from 1",
        "--classes",
    ];
    refused("one", 2, &counted);
    refused(
        "words",
        2,
        &["the sub-folder 'extra' has number 2 of 3", "the model has 2 classes", "--classes"],
    );
    place.write("table/labels.csv", b"file,label\na.png,7\n");
    refused("table", 2, &["the labels are named 7 to 7", "(0 to 1)"]);
    // The remedy works.
    let names = ClassNames::parse("names.txt", "1\n2\n").expect("valid");
    let spec = place.path("one").parse::<DataSpec>().expect("a folder");
    let data = spec.load(&Loading { names: Some(&names), ..Loading::new(Split::Test) }).expect("known");
    assert_eq!([data.label(0), data.label(1)], [0, 1]);
}

#[test]
fn nothing_happens_to_a_picture_in_silence() {
    let folder = fixtures().join("formats").display().to_string();
    let data = load_for(&folder, &[3, 13, 19]).expect("pictures");
    assert_eq!(data.len(), 43);
    let notes = data.notes().join("\n");
    for said in [
        "7 of 43 images are turned or mirrored",
        "2 of 43 images are partly transparent",
        "2 of 43 images have more than 8 bits",
        "2 of 43 images are in CMYK",
        "3 of 43 images are the first of several",
        "three equal channels",
    ] {
        assert!(notes.contains(said), "'{said}' is not in: {notes}");
    }
    let grey = load_for(&folder, &[1, 80, 80]).expect("pictures").notes().join("\n");
    assert!(
        grey.contains("turned to grey") && grey.contains("all 43 images are enlarged more than fourfold"),
        "{grey}"
    );
    let thin = load_for(&folder, &[1, 1, 80]).expect("pictures").notes().join("\n");
    assert!(thin.contains("all 43 images lose more than half of their area"), "{thin}");
}

#[test]
fn files_that_a_table_does_not_name_are_said() {
    let place = Place::new();
    for i in 0..7 {
        place.write(&format!("table/sub/{i}.png"), &png(2, 2, 5));
    }
    place.write("table/labels.csv", b"file,label\nsub/3.png,1\nsub/gone.png,0\n");
    let data = load_for(&place.path("table"), &[1, 2, 2]).expect("one image");
    let notes = data.notes().join("\n");
    assert_eq!((data.len(), data.label(0), data.file(0)), (1, 1, Some("sub/3.png")));
    assert!(notes.contains("6 pictures are not in labels.csv"), "{notes}");
    assert!(notes.contains("sub/0.png") && notes.contains("and 1 more"), "{notes}");
    assert!(notes.contains("sub/gone.png: cannot be read"), "{notes}");
}

#[test]
fn classes_of_imagenet() {
    let place = Place::new();
    for name in ["n01518878/a.png", "n01440764/a.png"] {
        place.write(&format!("ids/{name}"), &png(2, 2, 5));
    }
    let load = |spec: &str, classes: usize, names: Option<&ClassNames>| {
        let wanted = Some(Wanted { model: "the model", shape: &[1, 2, 2], classes: Some(classes) });
        let loading = Loading { wanted, names, ..Loading::new(Split::Test) };
        place.path(spec).parse::<DataSpec>().expect("data").load(&loading).expect(spec)
    };
    let data = load("ids", 1000, None);
    assert_eq!((data.label(0), data.label(1), data.class(9)), (0, 9, "ostrich".into()));
    assert_eq!((load("ids", 2, None).label(1), load("ids", 2, None).class(1)), (1, "n01518878".into()));
    // Arrays have numbers, which get the names.
    place.write(
        "x.npz",
        &npz(&[("x.npy", &npy("|u1", "(1, 1, 2, 2)", &[0; 4])), ("y.npy", &npy("|u1", "(1,)", &[9]))]),
    );
    let data = load("x.npz", 1000, None);
    assert_eq!(data.class(data.label(0)), "ostrich");
    assert!(data.notes().join("").contains("names of ImageNet's"), "{:?}", data.notes());
    let own = ClassNames::parse("names.txt", &"x\n".repeat(1000)).expect("valid");
    let data = load("x.npz", 1000, Some(&own));
    assert!(data.class(9) == "x" && data.notes().is_empty(), "{:?}", data.notes());
}

/// Ninety images take more than is kept in memory; fifty do not.
#[test]
fn pictures_of_large_folders_are_decoded_again() {
    let place = Place::new();
    for i in 0..90_u8 {
        place.write(&format!("many/0/{i:02}.png"), &png(2, 2, i));
    }
    place.write("many/0/30.png", b"no picture");
    let (spec, shape) = (place.path("many"), [3, 512, 512]);
    let [all, some] =
        [spec.clone(), format!("{spec}[..50]")].map(|spec| load_for(&spec, &shape).expect("a folder"));
    assert_eq!((all.len(), some.len(), all.index(30), all.index(88)), (89, 49, 31, 89));
    let part = all.range(0..49).expect("a part");
    assert_eq!(part.fingerprint().expect("read"), some.fingerprint().expect("in memory"));
    assert!(all.image(88).expect("read").iter().all(|&pixel| pixel == 89.0 / 255.0));
    assert_eq!(all.image_with_index(40).expect("read"), some.image(39).expect("in memory"));
    place.write("many/0/89.png", &png(2, 2, 1));
    let message = all.image(88).expect_err("another").to_string();
    assert!(message.contains("89.png") && message.contains("changed"), "{message}");
    std::fs::remove_file(place.path("many/0/88.png")).expect("removed");
    let message = all.image(87).expect_err("gone").to_string();
    assert!(message.contains("88.png") && message.contains("cannot any more"), "{message}");
    assert!(all.image(86).is_ok());
    let inverted = Loading { inverted: true, threads: 2, ..Loading::new(Split::Test) };
    let wanted = Some(Wanted { model: "the model", shape: &shape, classes: None });
    let data = spec
        .parse::<DataSpec>()
        .and_then(|spec| spec.load(&Loading { wanted, ..inverted }))
        .expect("a folder");
    assert!(data.image(7).expect("read").iter().all(|&pixel| pixel == 248.0 / 255.0));
}

/// Bytes changed at random must give data or an error, never a panic or a hang.
#[test]
fn mutated_images_and_arrays() {
    let place = Place::new();
    let mut state = 7_u64;
    let mut next = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % bound
    };
    for name in ["images/plain.jpg", "images/progressive.jpg", "images/palette.png", "images_colour.npz"] {
        let whole = std::fs::read(fixtures().join(name)).expect("a fixture");
        for _ in 0..200 {
            let mut bytes = whole.clone();
            for _ in 0..=next(5) {
                // The structure of the file is at its beginning and its end.
                let near = if next(2) == 0 { next(bytes.len()) } else { next(700.min(bytes.len())) };
                let at = if next(2) == 0 { near } else { bytes.len() - 1 - near };
                bytes[at] = next(256) as u8;
            }
            bytes.truncate(if next(4) == 0 { next(bytes.len()) } else { bytes.len() });
            let spec = if name.ends_with("npz") {
                place.write("mutated.npz", &bytes)
            } else {
                place.write(&format!("folder/0/{}", name.replace('/', "-")), &bytes);
                place.path("folder")
            };
            let _ = load_for(&spec, &[3, 16, 16]);
        }
    }
}
