//! The bytes of the MNIST data set, and nothing else.
//!
//! Each constant is one of the four gzip-compressed IDX files. They live in a crate of
//! their own so that the eleven megabytes are compiled once and linked only by who asks for them.
//! The data set is licensed CC BY-SA 3.0 by `LeCun`, Cortes and Burges; see `data/README.md`.

/// One embedded file: its compressed bytes and the SHA-256 of them, in hexadecimal.
#[derive(Debug, Clone, Copy)]
pub struct EmbeddedFile {
    /// Name of the original file.
    pub name: &'static str,
    /// The gzip-compressed IDX file.
    pub bytes: &'static [u8],
    /// SHA-256 of [`bytes`](Self::bytes), lower-case hexadecimal.
    pub sha256: &'static str,
}

/// The 60,000 training images.
pub const TRAIN_IMAGES: EmbeddedFile = EmbeddedFile {
    name: "train-images-idx3-ubyte.gz",
    bytes: include_bytes!("../data/train-images-idx3-ubyte.gz"),
    sha256: "0b367032e93c5d0cea0925647cfdb18614af8ee15f83e6f2fc2ad904a6835971",
};

/// The 60,000 training labels.
pub const TRAIN_LABELS: EmbeddedFile = EmbeddedFile {
    name: "train-labels-idx1-ubyte.gz",
    bytes: include_bytes!("../data/train-labels-idx1-ubyte.gz"),
    sha256: "1787548bbe0bff1ec2ecdc0ef292b02df999e2d1a6002d27500982c652b17203",
};

/// The 10,000 test images.
pub const TEST_IMAGES: EmbeddedFile = EmbeddedFile {
    name: "t10k-images-idx3-ubyte.gz",
    bytes: include_bytes!("../data/t10k-images-idx3-ubyte.gz"),
    sha256: "1a1a05eab793c14bb050b398624a11b0ffd1a2953baed553b1b9bd079e2a20be",
};

/// The 10,000 test labels.
pub const TEST_LABELS: EmbeddedFile = EmbeddedFile {
    name: "t10k-labels-idx1-ubyte.gz",
    bytes: include_bytes!("../data/t10k-labels-idx1-ubyte.gz"),
    sha256: "b91679a0acfe4ba0e50a2437a903084cba1f5f92592b016a25a7dfd00455798b",
};
