//! What happened to the pictures of a folder on their way to the model's input, said once for all of them.

use super::canvas::Canvas;
use super::picture::{Change, Decoded};

/// Something that happens to a picture and is worth saying.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Read(Change),
    LostColour,
    Tripled,
    Enlarged,
    CutAway,
}

/// All of them, in the order in which they are said, and what is said of one picture and of several.
const EVENTS: [(Event, &str, &str); 9] = [
    (
        Event::Read(Change::Turned),
        "is turned or mirrored as its EXIF data say",
        "are turned or mirrored as their EXIF data say",
    ),
    (
        Event::Read(Change::Opaque),
        "is partly transparent, which is dropped",
        "are partly transparent, which is dropped",
    ),
    (
        Event::Read(Change::EightBits),
        "has more than 8 bits per channel, of which the upper 8 are taken",
        "have more than 8 bits per channel, of which the upper 8 are taken",
    ),
    (
        Event::Read(Change::FromCmyk),
        "is in CMYK and was turned to RGB without a colour profile",
        "are in CMYK and were turned to RGB without a colour profile",
    ),
    (
        Event::Read(Change::FirstOfSeveral),
        "is the first of several in its file; the others are left out",
        "are the first of several in their files; the others are left out",
    ),
    (Event::LostColour, "is in colour and was turned to grey", "are in colour and were turned to grey"),
    (
        Event::Tripled,
        "is grey and has three equal channels now",
        "are grey and have three equal channels now",
    ),
    (Event::Enlarged, "is enlarged more than fourfold", "are enlarged more than fourfold"),
    (
        Event::CutAway,
        "loses more than half of its area, because only the middle fits",
        "lose more than half of their area, because only the middle fits",
    ),
];

/// How many pictures each event happened to.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Changes([usize; EVENTS.len()]);

impl Changes {
    /// Of one picture that is to be painted on `canvas`.
    pub fn of(decoded: &Decoded, canvas: &Canvas) -> Self {
        let picture = &decoded.picture;
        let (enlarged, kept) = canvas.fit_of(picture);
        let happened = |event: &Event| match event {
            Event::Read(change) => decoded.changes.contains(change),
            Event::LostColour => canvas.is_grey() && picture.is_coloured(),
            Event::Tripled => !canvas.is_grey() && picture.channels == 1,
            Event::Enlarged => enlarged > 4.0,
            Event::CutAway => kept < 0.5,
        };
        Self(EVENTS.map(|(event, ..)| usize::from(happened(&event))))
    }

    /// Of these pictures and those.
    pub fn and(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] + other.0[i]))
    }

    /// A sentence for everything that happened to any of `images`.
    pub fn notes(&self, images: usize) -> Vec<String> {
        let said = EVENTS.iter().zip(self.0).filter(|&(_, count)| count > 0);
        said.map(|((_, one, several), count)| match (count, images) {
            (1, 1) => format!("the image {one}"),
            (1, _) => format!("1 of {images} images {one}"),
            _ if count == images => format!("all {images} images {several}"),
            _ => format!("{count} of {images} images {several}"),
        })
        .collect()
    }
}
