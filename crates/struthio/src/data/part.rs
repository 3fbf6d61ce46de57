//! Parts of a data set, as they are typed behind its name.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use crate::error::{Error, Result};

/// `[5..10]`, `[5..]`, `[..10]`, or `[7]` for one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Between(usize, usize),
    From(usize),
    To(usize),
    One(usize),
}

impl Part {
    /// The images of this part of `count`, all if there is none; messages call the data `name`.
    pub fn of(part: Option<Self>, name: &str, count: usize) -> Result<Range<usize>> {
        let Some(part) = part else { return Ok(0..count) };
        let (from, to) = match part {
            Self::Between(from, to) => (from, to),
            Self::From(from) => (from, count),
            Self::To(to) => (0, to),
            Self::One(at) => (at, at.saturating_add(1)),
        };
        if to > count || from >= count {
            let last = count.saturating_sub(1);
            let problem =
                format!("the range {part} reaches beyond the {count} images, which are numbered 0 to {last}");
            return Err(Error::data(name, problem));
        }
        Ok(from..to)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Between(from, to) => write!(f, "[{from}..{to}]"),
            Self::From(from) => write!(f, "[{from}..]"),
            Self::To(to) => write!(f, "[..{to}]"),
            Self::One(at) => write!(f, "[{at}]"),
        }
    }
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || {
            format!(
                "a range is written [FROM..TO], [FROM..], [..TO], or [NUMBER] for one image, with whole numbers from 0, \
                 such as [0..1000]; found '{text}'"
            )
        };
        let inside = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).ok_or_else(expected)?;
        let number = |text: &str| text.trim().parse::<usize>().map_err(|_| expected());
        let part = match inside.split_once("..") {
            None => Self::One(number(inside)?),
            Some((from, to)) => match (from.trim(), to.trim()) {
                ("", "") => return Err(expected()),
                ("", to) => Self::To(number(to)?),
                (from, "") => Self::From(number(from)?),
                (from, to) => Self::Between(number(from)?, number(to)?),
            },
        };
        match part {
            Self::Between(from, to) if from >= to => {
                Err(format!("the range {part} is empty; it is half-open, so [0..1] is the first image"))
            }
            Self::To(0) => {
                Err(format!("the range {part} is empty; it is half-open, so [..1] is the first image"))
            }
            _ => Ok(part),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parts_of_ten() {
        for (text, expected) in [
            ("[2..5]", 2..5),
            ("[ 2 .. 5 ]", 2..5),
            ("[5..]", 5..10),
            ("[..5]", 0..5),
            ("[7]", 7..8),
            ("[0..10]", 0..10),
        ] {
            let part: Part = text.parse().expect(text);
            assert_eq!(Part::of(Some(part), "data", 10).expect("within"), expected, "{text}");
        }
        assert_eq!(Part::of(None, "data", 10).expect("all"), 0..10);
        for text in ["[2..11]", "[10..]", "[..11]", "[10]"] {
            let part: Part = text.parse().expect(text);
            let message = Part::of(Some(part), "data", 10).expect_err(text).to_string();
            assert!(message.contains("beyond the 10 images") && message.contains("0 to 9"), "{message}");
        }
    }

    #[test]
    fn other_words_are_refused() {
        for (text, fragment) in [
            ("[5..5]", "empty"),
            ("[7..5]", "empty"),
            ("[..0]", "empty"),
            ("[..]", "[FROM..TO]"),
            ("[]", "[FROM..TO]"),
            ("[5:10]", "found '[5:10]'"),
            ("[-1]", "from 0"),
            ("[0..=5]", "[FROM..TO]"),
            ("[0..99999999999999999999999]", "[FROM..TO]"),
            ("[1", "[FROM..TO]"),
        ] {
            let message = text.parse::<Part>().expect_err(text);
            assert!(message.contains(fragment), "{message}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(from in 0_usize..1000, more in 1_usize..1000) {
            for part in [Part::Between(from, from + more), Part::From(from), Part::To(more), Part::One(from)] {
                prop_assert_eq!(part.to_string().parse(), Ok(part));
            }
        }

        #[test]
        fn no_text_is_too_strange(text in "\\[?[0-9.:=\\- ]{0,12}\\]?") {
            if let Ok(part) = text.parse::<Part>() {
                let within = Part::of(Some(part), "data", 500);
                prop_assert!(within.is_err() || within.is_ok_and(|range| range.start < range.end && range.end <= 500));
            }
        }
    }
}
