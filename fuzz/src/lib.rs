//! What is fuzzed: each function takes the bytes of a file as a user might give them. A refusal is as good as
//! anything; a panic, a long wait or much memory is not.
//!
//! The tests of the library replay the corpus through the same functions.

pub mod limits;

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use struthio::data::{
    ClassNames, DataSpec, Dataset, Loading, Pixels, PngShape, Split, Wanted, parse_idx, with_attribute,
};
use struthio::network::{Classifier, Network, onnx as models};
use tempfile::TempDir;

/// Takes the bytes of a file.
pub type Target = fn(&[u8]);

/// Every target by its name.
pub const TARGETS: [(&str, Target); 6] = [
    ("onnx", onnx),
    ("arrays", arrays),
    ("pictures", pictures),
    ("tables", tables),
    ("parquet", parquet),
    ("spec", spec),
];

/// A model, which is evaluated if that is quickly done.
pub fn onnx(bytes: &[u8]) {
    let Ok(network) = models::read_bytes("the model", bytes) else { return };
    let graph = network.graph();
    let values: usize =
        (0..=graph.nodes().len()).map(|i| graph.features(struthio::network::ValueId(i))).sum();
    let weights: usize = graph.parameters().map(|tensor| tensor.values.len()).sum();
    if values <= 1 << 12 && weights <= 1 << 16 {
        evaluate(&network);
    }
}

fn evaluate(network: &Network) {
    const ROWS: usize = 2;
    let classes = network.classes();
    let mut session = network.session();
    for (i, value) in session.inputs(ROWS).iter_mut().enumerate() {
        *value = (i % 5) as f32 / 4.0;
    }
    let logits = session.forward().expect("a network can always be evaluated");
    assert_eq!(logits.len(), ROWS * classes);
    let _ = network.class_of(&logits[..classes]);
    let gradient = session.backward(&vec![1.0; ROWS * classes]).expect("and differentiated");
    assert_eq!(gradient.len(), ROWS * network.input().len());
}

/// Arrays: `z` and an NPZ file; `c` and one of CIFAR's; or else two bytes that say how long the first of a pair of NPY
/// or IDX files is, and the pair.
pub fn arrays(bytes: &[u8]) {
    let Some((&kind, rest)) = bytes.split_first() else { return };
    match (kind, rest.split_first_chunk::<2>()) {
        (b'z', _) => load("data.npz", rest, None),
        (b'c', _) => load("data.bin", rest, None),
        (_, Some((&length, pair))) => {
            let (images, labels) = pair.split_at(pair.len().min(usize::from(u16::from_be_bytes(length))));
            let _ = parse_idx(images);
            let (images, labels) = (written("images", images), written("labels", labels));
            load_spec(&format!("{},{}", images.display(), labels.display()), None);
        }
        _ => {}
    }
}

/// A picture, which is decoded, and brought to what a model wants.
pub fn pictures(bytes: &[u8]) {
    let one = PngShape::of(&[1, 1]).expect("a picture");
    let decoded = one.decode(bytes);
    // Of another size than one pixel is every picture that can be read.
    if decoded.is_ok() || decoded.is_err_and(|problem| problem.starts_with("width")) {
        load("picture", bytes, Some(&[3, 8, 8]));
    }
}

/// Tables: `l` and labels of a folder, `c` and names of classes, `a` and attributes.
pub fn tables(bytes: &[u8]) {
    let Some((&kind, table)) = bytes.split_first() else { return };
    match kind {
        b'l' => {
            let grey = PngShape::of(&[1, 1]).expect("a picture").encode(&[0.5]).expect("a file");
            let picture = written("folder/a.png", &grey);
            written("folder/b,\"c\".png", &grey);
            written("folder/labels.csv", table);
            load_spec(&picture.parent().expect("the folder").display().to_string(), None);
        }
        b'c' => {
            let Ok(names) = ClassNames::read(&written("names.txt", table)) else { return };
            // Another class may have the same name.
            assert!(matches!(names.number(&names.names()[0]), Ok(0) | Err(_)));
        }
        _ => {
            let data = Dataset::new("data", vec![1], Pixels::Bytes(vec![0; 3]), vec![0; 3]).expect("data");
            let path = written("attributes.csv", table);
            [None, Some("a")].into_iter().for_each(|column| {
                let _ = with_attribute(&data, &path, column);
            });
        }
    }
}

/// A Parquet file of pictures and labels.
pub fn parquet(bytes: &[u8]) {
    load("data.parquet", bytes, Some(&[1, 4, 4]));
}

/// The name of data, with a range.
pub fn spec(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Ok(spec) = text.parse::<DataSpec>() {
        assert_eq!(spec.to_string().parse::<DataSpec>().expect("as it is written"), spec);
    }
}

/// Writes a file into the folder of this thread, and says where it is.
fn written(name: &str, bytes: &[u8]) -> PathBuf {
    thread_local!(static FOLDER: OnceCell<TempDir> = const { OnceCell::new() });
    FOLDER.with(|folder| {
        let folder = folder.get_or_init(|| tempfile::tempdir().expect("a folder"));
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new(""))).expect("a folder");
        std::fs::write(&path, bytes).expect("written");
        path
    })
}

fn load(name: &str, bytes: &[u8], shape: Option<&[usize]>) {
    load_spec(&written(name, bytes).display().to_string(), shape);
}

/// Loads data for a model of this input, and looks at what came out.
fn load_spec(text: &str, shape: Option<&[usize]>) {
    let wanted = shape.map(|shape| Wanted { model: "the model", shape, classes: None });
    let loading = Loading { wanted, ..Loading::new(Split::Test) };
    let Ok(data) = text.parse::<DataSpec>().and_then(|spec| spec.load(&loading)) else { return };
    assert!(!data.is_empty(), "no images");
    for i in [0, data.len() - 1] {
        assert_eq!(data.image(i).map(|image| image.len()).ok(), Some(data.image_len()));
    }
}
