use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::imagenet;
use super::problems::listed;
use crate::error::{Error, Result};

/// The names of all classes, in the order of their numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassNames {
    origin: String,
    names: Vec<String>,
}

impl ClassNames {
    /// The largest file of names that is read, in bytes.
    const LARGEST_FILE: u64 = 16 << 20;

    /// Reads a file of one name per line; the first line names class 0.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, has no names, or has an empty line between them.
    pub fn read(path: &Path) -> Result<Self> {
        let origin = path.display().to_string();
        let about = std::fs::metadata(path).map_err(Error::io("read", path))?;
        if !about.is_file() || about.len() > Self::LARGEST_FILE {
            return Err(Error::data(origin, "expected a text file with one class name per line"));
        }
        let mut text = Vec::new();
        let read = File::open(path).and_then(|file| file.take(Self::LARGEST_FILE).read_to_end(&mut text));
        read.map_err(Error::io("read", path))?;
        match String::from_utf8(text) {
            Ok(text) => Self::parse(origin, &text),
            Err(_) => Err(Error::data(origin, "not a text in UTF-8; expected one class name per line")),
        }
    }

    /// Names from `text`, one per line; `origin` is what messages call it.
    pub fn parse(origin: impl Into<String>, text: &str) -> Result<Self> {
        let origin = origin.into();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim_end();
        if text.trim().is_empty() {
            return Err(Error::data(origin, "there are no names; expected one class name per line"));
        }
        let names: Vec<String> = text.lines().map(|line| line.trim().to_owned()).collect();
        if let Some(at) = names.iter().position(String::is_empty) {
            let problem = format!("line {} is empty; expected one class name per line", at + 1);
            return Err(Error::data(origin, problem));
        }
        Ok(Self { origin, names })
    }

    /// These `names`; `origin` is what messages call them.
    pub(super) fn of(origin: &str, names: Vec<String>) -> Self {
        Self { origin: origin.to_owned(), names }
    }

    /// Where the names come from.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The names by class number.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The number of the class called `name`.
    ///
    /// # Errors
    ///
    /// If no class is called so, or several are.
    pub fn number(&self, name: &str) -> Result<usize, String> {
        let mut found = (0..self.names.len()).filter(|&i| self.names[i] == name);
        match (found.next(), found.next()) {
            (Some(number), None) => Ok(number),
            (None, _) => Err(format!("'{name}' is not in {}", self.origin)),
            (Some(a), Some(b)) => {
                Err(format!("'{name}' stands for classes {a} and {b} in {}; give the number", self.origin))
            }
        }
    }
}

/// What the class `number` is called: its name among `names`, or the number.
pub(crate) fn class_name(names: &[String], number: usize) -> String {
    names.get(number).cloned().unwrap_or_else(|| number.to_string())
}

/// How labels in words became numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Numbering {
    /// By names that were given, or by those of `ImageNet`.
    ByName,
    /// They are whole numbers, which stand for themselves.
    Themselves,
    /// By their places in sorted order.
    Sorted,
}

/// The numbers of labels in words.
pub(super) struct Numbered {
    /// One for each of the words.
    pub numbers: Vec<u32>,
    pub numbering: Numbering,
    /// What the numbers stand for, where nobody said so.
    pub names: Vec<String>,
    /// How they were numbered, where nobody said how to.
    pub note: Option<String>,
}

/// Turns the different labels `all` in words into numbers: those of `names` if given (a number may stand for itself),
/// else those of `ImageNet` if the model has as many `classes` and all are its ids or names, else their own if all are
/// whole numbers, else their places in sorted order.
pub(super) fn numbered(
    all: &[String],
    names: Option<&ClassNames>,
    classes: Option<usize>,
) -> Result<Numbered, String> {
    if let Some(names) = names {
        return by_names(all, names);
    }
    if let Some(numbered) = classes.filter(|&count| count == imagenet::COUNT).and_then(|_| of_imagenet(all)) {
        return Ok(numbered);
    }
    let names = Vec::new();
    if let Some(numbers) = all.iter().map(|label| whole(label)).collect() {
        let note = Some("the labels are whole numbers and are taken as class numbers".to_owned());
        return Ok(Numbered { numbers, numbering: Numbering::Themselves, names, note });
    }
    let mut sorted = all.to_vec();
    sorted.sort_unstable();
    let numbers = all.iter().map(|label| sorted.binary_search(label).unwrap_or_default() as u32).collect();
    let note = format!(
        "{} numbered in sorted order ({}); --classes sets another order",
        if sorted.len() == 1 { "1 class is".to_owned() } else { format!("{} classes are", sorted.len()) },
        beginning(sorted.iter().enumerate())
    );
    Ok(Numbered { numbers, numbering: Numbering::Sorted, names: sorted, note: Some(note) })
}

/// The whole number that a label is, also as tables of floats have it: `10.0`.
fn whole(label: &str) -> Option<u32> {
    let (number, fraction) = label.split_once('.').unwrap_or((label, ""));
    number.parse().ok().filter(|_| fraction.bytes().all(|digit| digit == b'0'))
}

/// The first three classes with their numbers.
fn beginning<'a>(mut classes: impl Iterator<Item = (usize, &'a String)>) -> String {
    let start: Vec<String> =
        classes.by_ref().take(3).map(|(number, name)| format!("{number} {name}")).collect();
    format!("{}{}", start.join(", "), if classes.next().is_some() { ", …" } else { "" })
}

fn of_imagenet(all: &[String]) -> Option<Numbered> {
    let with = |number: fn(&str) -> Option<u32>| all.iter().map(|label| number(label)).collect();
    let by_id: Option<Vec<u32>> = with(imagenet::of_id);
    let what = if by_id.is_some() { "ids" } else { "names" };
    let numbers = by_id.or_else(|| with(imagenet::of_name))?;
    let names = imagenet::names();
    let mut known: Vec<(usize, &String)> =
        numbers.iter().map(|&number| (number as usize, &names[number as usize])).collect();
    known.sort_unstable();
    let note = format!(
        "the labels are {what} of ImageNet's classes and have their numbers ({})",
        beginning(known.into_iter())
    );
    Some(Numbered { numbers, numbering: Numbering::ByName, names, note: Some(note) })
}

fn by_names(all: &[String], names: &ClassNames) -> Result<Numbered, String> {
    let number = |label: &str| {
        names.number(label).or_else(|problem| match whole(label) {
            Some(number) if (number as usize) < names.names().len() => Ok(number as usize),
            _ => Err(problem),
        })
    };
    let mut unknown: Vec<String> = all.iter().filter_map(|label| number(label).err()).collect();
    unknown.sort_unstable();
    if !unknown.is_empty() {
        return Err(listed("unknown class", &unknown));
    }
    let numbers = all.iter().filter_map(|label| number(label).ok()).map(|n| n as u32).collect();
    Ok(Numbered { numbers, numbering: Numbering::ByName, names: Vec::new(), note: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> ClassNames {
        ClassNames::parse("names.txt", text).expect("valid")
    }

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().copied().map(String::from).collect()
    }

    #[test]
    fn one_name_per_line() {
        let animals = names("\u{feff}ostrich\r\n great auk \r\n\r\n");
        assert_eq!(animals.names(), ["ostrich", "great auk"]);
        assert_eq!(animals.number("great auk"), Ok(1));
        assert!(animals.number("auk").expect_err("unknown").contains("names.txt"));
        for (text, fragment) in [("", "no names"), (" \n\n", "no names"), ("a\n\nb\n", "line 2 is empty")] {
            let message = ClassNames::parse("x", text).expect_err("bad").to_string();
            assert!(message.contains(fragment), "{message}");
        }
    }

    #[test]
    fn a_name_may_not_stand_for_two_classes() {
        let message = names("crane\nhen\ncrane").number("crane").expect_err("ambiguous");
        assert!(message.contains("classes 0 and 2"), "{message}");
    }

    #[test]
    fn labels_become_numbers() {
        let of = |labels: &[&str], names: Option<&ClassNames>, classes: usize| {
            numbered(&words(labels), names, Some(classes)).map(|numbered| numbered.numbers)
        };
        assert_eq!(of(&["hen", "auk", "gull"], None, 3), Ok(vec![2, 0, 1]));
        assert_eq!(of(&["10", "9", "007"], None, 3), Ok(vec![10, 9, 7]));
        assert_eq!(of(&["10", "9", "x"], None, 3), Ok(vec![0, 1, 2]));
        assert_eq!(of(&["10.0", "9.", "7.00"], None, 3), Ok(vec![10, 9, 7]));
        assert_eq!(of(&["1.5", "2.0"], None, 3), Ok(vec![0, 1]));
        let animals = names("hen\nauk\n");
        assert_eq!(of(&["hen", "auk", "1"], Some(&animals), 2), Ok(vec![0, 1, 1]));
        let message = of(&["emu", "hen", "2"], Some(&animals), 2).expect_err("unknown");
        assert!(message.contains("'emu'") && message.contains("'2'"), "{message}");
    }

    #[test]
    fn ids_and_names_of_imagenet_where_the_model_has_as_many_classes() {
        let of = |labels: &[&str], classes| numbered(&words(labels), None, Some(classes)).expect("valid");
        let ids = ["n01518878", "n01440764"];
        assert_eq!(of(&ids, 1000).numbers, [9, 0]);
        assert_eq!(of(&["goldfish", "African elephant"], 1000).numbers, [1, 386]);
        let said = of(&ids, 1000).note.expect("said");
        assert!(
            said.contains("ids of ImageNet's classes") && said.contains("(0 tench, 9 ostrich)"),
            "{said}"
        );
        // No model for it, or a class that it does not have: sorted order.
        assert_eq!(of(&ids, 2).numbers, [1, 0]);
        assert_eq!(of(&["goldfish", "emu"], 1000).numbers, [1, 0]);
    }
}
