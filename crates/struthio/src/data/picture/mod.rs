//! Files of pictures as bytes: PNG, JPEG, WebP, TIFF, BMP, GIF and PNM, told apart by their first bytes.
//!
//! The pixels are those that Pillow gives. Whatever a picture loses on its way is a [`Change`], so that it can be
//! said. Nothing is allocated before the length of the file allows it.

mod bmp;
mod gif;
mod jpeg;
mod orientation;
mod png;
mod pnm;
mod tiff;
mod webp;

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Larger pictures are refused.
const MOST_PIXELS: usize = 1 << 26;
/// Larger files are refused.
const LARGEST_FILE: u64 = 1 << 28;
/// A file below this length is not believed to need more than [`MEMORY_OF_SMALL`] bytes of memory.
const SMALL_FILE: usize = 1 << 20;
const MEMORY_OF_SMALL: usize = 192 << 20;
/// So many pixels may be in any file, and so many more for each byte: a page of one colour has no more.
const FREE_PIXELS: usize = 1 << 22;
const PIXELS_PER_BYTE: usize = 1 << 10;
/// Deflate makes nothing smaller than by this factor.
const DEFLATE_FACTOR: usize = 1032;
/// First bytes that tell what a file is.
const MAGIC: usize = 16;

/// A picture of 8 bits per channel, channels interleaved: one, grey, or three, red, green and blue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Picture {
    pub width: usize,
    pub height: usize,
    pub channels: usize,
    pub bytes: Vec<u8>,
}

/// What a picture lost or got when it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Pixels were not opaque; their colour was taken as it is.
    Opaque,
    /// It was turned or mirrored as its EXIF data say.
    Turned,
    /// Of more than 8 bits per channel the upper 8 were taken.
    EightBits,
    /// It was in the colours of print.
    FromCmyk,
    /// The first of several pictures was taken.
    FirstOfSeveral,
}

/// A picture and what became of it.
#[derive(Debug)]
pub(super) struct Decoded {
    pub picture: Picture,
    pub changes: Vec<Change>,
    /// What is wrong with the file, though most of the picture is there.
    pub damage: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Png,
    Jpeg,
    WebP,
    Tiff,
    Bmp,
    Gif,
    Pnm,
}

impl Format {
    fn of(start: &[u8]) -> Option<Self> {
        Some(match start {
            [0x89, b'P', b'N', b'G', ..] => Self::Png,
            [0xff, 0xd8, ..] => Self::Jpeg,
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Self::WebP,
            [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => Self::Tiff,
            [b'G', b'I', b'F', b'8', ..] => Self::Gif,
            // A length, and four bytes that are reserved.
            [b'B', b'M', _, _, _, _, 0, 0, 0, 0, ..] => Self::Bmp,
            [b'P', b'1'..=b'6', b' ' | b'\t' | b'\n' | b'\r' | b'#', ..] => Self::Pnm,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Png => "PNG",
            Self::Jpeg => "JPEG",
            Self::WebP => "WebP",
            Self::Tiff => "TIFF",
            Self::Bmp => "BMP",
            Self::Gif => "GIF",
            Self::Pnm => "PPM",
        }
    }
}

/// Formats of pictures that are not read, by their first bytes.
fn foreign(start: &[u8]) -> Option<&'static str> {
    Some(match start {
        [_, _, _, _, b'f', b't', b'y', b'p', brand @ ..] => match brand {
            [b'a', b'v', b'i', b'f' | b's', ..] => "an AVIF picture",
            [b'h', b'e', ..] | [b'm', b'i' | b's', b'f', b'1', ..] => "a HEIC picture",
            _ => return None,
        },
        [0xff, 0x0a, ..] | [0, 0, 0, 12, b'J', b'X', b'L', ..] => "a JPEG XL picture",
        [0, 0, 0, 12, b'j', b'P', ..] => "a JPEG 2000 picture",
        _ => return None,
    })
}

/// The extensions of files that are expected to be pictures; some formats are known only to be refused by name.
const EXTENSIONS: [&str; 21] = [
    "png", "apng", "jpg", "jpeg", "jpe", "jfif", "jif", "webp", "tif", "tiff", "bmp", "dib", "gif", "ppm",
    "pgm", "pbm", "pnm", "heic", "heif", "avif", "jxl",
];

/// What messages call the formats that are read.
pub(super) const FORMATS: &str = "PNG, JPEG, WebP, TIFF, BMP, GIF or PPM";

/// Whether the file at `path` is a picture, by its name or, if that says nothing, by its first bytes.
pub(super) fn is_picture(path: &Path) -> bool {
    let extension = path.extension().and_then(std::ffi::OsStr::to_str).unwrap_or_default();
    EXTENSIONS.iter().any(|known| extension.eq_ignore_ascii_case(known)) || starts_as_picture(path)
}

/// Whether the first bytes of the file at `path` are those of a picture.
pub(super) fn starts_as_picture(path: &Path) -> bool {
    let start = || {
        if !std::fs::metadata(path)?.is_file() {
            return Ok(Vec::new());
        }
        let mut start = Vec::new();
        File::open(path)?.take(MAGIC as u64).read_to_end(&mut start).map(|_| start)
    };
    start().is_ok_and(|start: Vec<u8>| Format::of(&start).is_some() || foreign(&start).is_some())
}

/// Reads the file at `path`.
///
/// # Errors
///
/// What is wrong with the file, without its name.
pub(super) fn read(path: &Path) -> Result<Decoded, String> {
    let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
    let about = std::fs::metadata(path).map_err(unreadable)?;
    if !about.is_file() {
        return Err("not a regular file".into());
    }
    if about.len() > LARGEST_FILE {
        return Err(format!("{} bytes are more than an image needs", about.len()));
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(LARGEST_FILE).read_to_end(&mut bytes)).map_err(unreadable)?;
    decode(&bytes)
}

/// Decodes the bytes of a file.
///
/// Transparency is dropped, of 16 bits the upper 8 are taken, of several pictures the first, and the picture is
/// turned as its EXIF data say.
pub(super) fn decode(bytes: &[u8]) -> Result<Decoded, String> {
    if bytes.is_empty() {
        return Err("the file is empty".into());
    }
    let Some(format) = Format::of(bytes) else {
        return Err(match foreign(bytes) {
            Some(what) => format!("{what}, which is not read; convert it to {FORMATS}"),
            None => format!("no picture: expected {FORMATS}"),
        });
    };
    let decoded = match format {
        Format::Png => png::decode(bytes),
        Format::Jpeg => jpeg::decode(bytes),
        Format::WebP => webp::decode(bytes),
        Format::Tiff => tiff::decode(bytes),
        Format::Bmp => bmp::decode(bytes),
        Format::Gif => gif::decode(bytes),
        Format::Pnm => pnm::decode(bytes),
    };
    let decoded = decoded.map_err(|problem| format!("damaged {}: {problem}", format.name()))?;
    let Picture { width, height, channels, bytes } = &decoded.picture;
    debug_assert_eq!(bytes.len(), width * height * channels);
    Ok(decoded)
}

impl Decoded {
    fn new(picture: Picture) -> Self {
        Self { picture, changes: Vec::new(), damage: None }
    }

    /// A picture of this size in `samples` interleaved values per pixel, the last of which is alpha if there are two
    /// or four.
    fn of_samples(width: usize, height: usize, samples: usize, mut bytes: Vec<u8>) -> Self {
        let mut opaque = true;
        let channels = if samples.is_multiple_of(2) { samples - 1 } else { samples };
        if channels < samples {
            for i in 0..width * height {
                opaque &= bytes[i * samples + channels] == u8::MAX;
                bytes.copy_within(i * samples..i * samples + channels, i * channels);
            }
            bytes.truncate(width * height * channels);
        }
        let decoded = Self::new(Picture { width, height, channels, bytes });
        decoded.changed(Change::Opaque, !opaque)
    }

    /// The same, of which `change` has to be said if it took place.
    fn changed(mut self, change: Change, took_place: bool) -> Self {
        self.changes.extend(took_place.then_some(change));
        self
    }

    /// Turned as EXIF data say.
    fn turned(mut self, exif: Option<&[u8]>) -> Self {
        let Some(orientation) = exif.and_then(orientation::of_exif) else { return self };
        self.picture = orientation::upright(self.picture, orientation);
        self.changed(Change::Turned, orientation != 1)
    }
}

impl Picture {
    /// Grey by the luma of ITU-R 601, rounded as Pillow does.
    pub fn into_grey(self) -> Self {
        if self.channels == 1 {
            return self;
        }
        let luma = |&[red, green, blue]: &[u8; 3]| {
            ((u32::from(red) * 19_595 + u32::from(green) * 38_470 + u32::from(blue) * 7471 + 0x8000) >> 16)
                as u8
        };
        let bytes = self.bytes.as_chunks::<3>().0.iter().map(luma).collect();
        Self { channels: 1, bytes, ..self }
    }

    /// Whether any pixel is another than grey.
    pub fn is_coloured(&self) -> bool {
        let coloured = |&[red, green, blue]: &[u8; 3]| red != green || green != blue;
        self.channels == 3 && self.bytes.as_chunks::<3>().0.iter().any(coloured)
    }
}

/// Makes sure that a picture of this size, which takes so many bytes per pixel to decode, may be in a file of
/// `length` bytes.
fn check_size(width: usize, height: usize, bytes_per_pixel: usize, length: usize) -> Result<(), String> {
    let pixels = match width.checked_mul(height) {
        Some(pixels) if pixels > 0 && pixels <= MOST_PIXELS => pixels,
        _ => return Err(format!("{width} × {height} pixels; expected between one and {MOST_PIXELS} in all")),
    };
    let few = FREE_PIXELS + PIXELS_PER_BYTE * length;
    if pixels > few || (length < SMALL_FILE && pixels * bytes_per_pixel > MEMORY_OF_SMALL) {
        return Err(format!("{width} × {height} pixels are too many for a file of {length} bytes"));
    }
    Ok(())
}

/// Makes sure that `raw` bytes may be in a file of `length` bytes, which are packed to at most one in `factor`.
fn check_packed(width: usize, height: usize, raw: usize, factor: usize, length: usize) -> Result<(), String> {
    if raw.saturating_sub(1024) / factor > length {
        return Err(format!("{width} × {height} pixels cannot be in {length} bytes"));
    }
    Ok(())
}

/// The message of an error on one line.
fn one_line(error: &dyn std::fmt::Display) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
