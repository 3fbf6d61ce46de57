//! Every format against Pillow (`tests/fixtures/make_images.py`), and damaged and hostile files.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use zip::ZipArchive;

use super::*;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(fixtures().join(name)).expect("a fixture")
}

/// Shape and pixels that Pillow has for each file of `formats/`.
fn of_pillow() -> Vec<(String, Vec<u64>, Vec<u8>)> {
    let file = File::open(fixtures().join("formats.npz")).expect("a fixture");
    let mut archive = ZipArchive::new(file).expect("an archive");
    let names: Vec<String> = archive.file_names().flatten().map(std::borrow::Cow::into_owned).collect();
    let array = |name: String| {
        let mut bytes = Vec::new();
        archive.by_name(&name).expect("a member").read_to_end(&mut bytes).expect("read");
        let array = npyz::NpyFile::new(&bytes[..]).expect("an array");
        let shape = array.shape().to_vec();
        (name.trim_end_matches(".npy").to_owned(), shape, array.into_vec().expect("bytes"))
    };
    names.into_iter().map(array).collect()
}

/// Largest difference of two pictures of the same shape.
fn off(a: &[u8], b: &[u8]) -> u8 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0)
}

#[test]
fn every_format_has_the_pixels_of_pillow() {
    let all = of_pillow();
    assert_eq!(all.len(), 43);
    let mut wrong = Vec::new();
    for (name, shape, expected) in all {
        let decoded = decode(&fixture(&format!("formats/{name}")))
            .unwrap_or_else(|problem| panic!("{name}: {problem}"));
        let picture = decoded.picture;
        assert_eq!([picture.height as u64, picture.width as u64], shape[..2], "{name}");
        let picture = if shape.len() == 2 { picture.into_grey() } else { picture };
        assert_eq!(picture.channels, shape.get(2).map_or(1, |&channels| channels as usize), "{name}");
        let lossy = name.ends_with("jpg") || name.ends_with("jfif") || name == "lossy.webp";
        let found = off(&picture.bytes, &expected);
        if found > if lossy { 2 } else { 0 } {
            wrong.push(format!("{name} is off by {found}: {:?} {:?}", &picture.bytes[..20], &expected[..20]));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_a_picture_loses_is_known() {
    for (name, expected) in [
        ("raw.tif", &[][..]),
        ("rgb.bmp", &[]),
        ("turned1.png", &[]),
        ("alpha.bmp", &[]),
        ("alpha.webp", &[Change::Opaque]),
        ("alpha.tif", &[Change::Opaque]),
        ("deep.tif", &[Change::EightBits]),
        ("deep.png", &[Change::EightBits]),
        ("cmyk.tif", &[Change::FromCmyk]),
        ("cmyk.jpg", &[Change::FromCmyk]),
        ("animated.webp", &[Change::FirstOfSeveral]),
        ("animated.gif", &[Change::FirstOfSeveral]),
        ("pages.tif", &[Change::FirstOfSeveral]),
        ("turned5.png", &[Change::Turned]),
        ("turned6.webp", &[Change::Turned]),
        ("turned7.tif", &[Change::Turned]),
        ("turned8.jpg", &[Change::Turned]),
    ] {
        let decoded = decode(&fixture(&format!("formats/{name}"))).expect(name);
        assert_eq!((&decoded.changes[..], decoded.damage), (expected, None), "{name}");
    }
}

#[test]
fn a_jpeg_is_used_as_long_as_nearly_all_of_it_is_there() {
    for name in ["images/plain.jpg", "images/halved.jpeg", "images/grey.jpg"] {
        let whole = fixture(name);
        let picture = decode(&whole).expect(name).picture;
        let cut = decode(&whole[..whole.len() - 12]).expect(name);
        assert!(cut.damage.is_some(), "{name}");
        // All but the last row of blocks is what it was.
        let rows = (picture.height - 1) / 16 * 16 - 1;
        let there = rows * picture.width * picture.channels;
        assert_eq!(cut.picture.bytes[..there], picture.bytes[..there], "{name}");
        let problem = decode(&whole[..whole.len() / 2]).expect_err(name);
        assert!(problem.contains("rows are missing"), "{name}: {problem}");
    }
    // Bytes behind the end, as phones put them there, are no damage; nor is a preview that ends before the picture.
    let mut longer = fixture("images/plain.jpg");
    longer.extend([0; 40]);
    assert_eq!(decode(&longer).expect("whole").damage, None);
}

#[test]
fn a_file_is_what_its_bytes_say() {
    for (bytes, problem) in [
        (&b""[..], "empty"),
        (b"hello, pictures!", "no picture"),
        (b"BMW is no bitmap", "no picture"),
        (b"P5 or not P5", "damaged PPM"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "a HEIC picture, which is not read"),
        (b"\0\0\0\x18ftypavif\0\0\0\0", "an AVIF picture"),
        (b"GIF89a", "damaged GIF"),
        (b"II*\0\0\0\0\0", "damaged TIFF"),
        (b"RIFF\x04\0\0\0WEBP", "damaged WebP"),
    ] {
        let found = decode(bytes).expect_err(problem);
        assert!(found.contains(problem), "{found}");
    }
}

#[test]
fn sizes_that_the_file_cannot_hold_are_refused() {
    let claims = |name: &str, at: usize, bytes: &[u8]| {
        let mut file = fixture(&format!("formats/{name}"));
        file[at..at + bytes.len()].copy_from_slice(bytes);
        decode(&file).map(|decoded| (decoded.picture.width, decoded.picture.height)).expect_err(name)
    };
    for problem in [
        claims("rgb.bmp", 18, &[0xff, 0xff, 0xff, 0x7f]),
        claims("rgb.bmp", 18, &[0, 0x20, 0, 0, 0, 0x1f, 0, 0]),
        claims("grey.gif", 6, &[0xff, 0xff, 0xff, 0xff]),
        claims("rgb.ppm", 3, b"9999999 9"),
        claims("grey.pgm", 3, b"1 8589934592 9"),
        claims("bits.pbm", 3, b"99999999 9"),
    ] {
        assert!(problem.starts_with("damaged"), "{problem}");
    }
}

/// Bytes changed at random must give a picture or an error, never a panic or a hang.
#[test]
fn mutated_pictures() {
    let mut state = 11_u64;
    let mut next = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % bound
    };
    for (name, ..) in of_pillow() {
        let whole = fixture(&format!("formats/{name}"));
        for _ in 0..150 {
            let mut bytes = whole.clone();
            for _ in 0..=next(4) {
                // The structure of a file is at its beginning, that of TIFF at its end, too.
                let near = if next(2) == 0 { next(bytes.len()) } else { next(64.min(bytes.len())) };
                let at = if next(4) == 0 { bytes.len() - 1 - near } else { near };
                bytes[at] = [0, 1, 0x7f, 0x80, 0xff, next(256) as u8][next(6)];
            }
            bytes.truncate(if next(4) == 0 { next(bytes.len()) } else { bytes.len() });
            if let Ok(Decoded { picture, .. }) = decode(&bytes) {
                assert_eq!(picture.bytes.len(), picture.width * picture.height * picture.channels);
            }
        }
    }
}
