//! What arrays of images and labels are called in NPZ files.

use super::spec::Split;

/// Names of images and labels, in the order in which they are looked for; their case does not matter.
const NEUTRAL: [[&str; 2]; 7] = [
    ["x", "y"],
    ["images", "labels"],
    ["image", "label"],
    ["data", "target"],
    ["data", "targets"],
    ["data", "labels"],
    ["arr_0", "arr_1"], // as numpy.savez calls what is given without names
];
/// What is put before or behind them for a part of a data set.
const TESTS: [&str; 3] = ["test", "val", "valid"];
const TRAINS: [&str; 1] = ["train"];

/// The arrays to be read from an NPZ file, if somebody named them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ArrayNames<'a> {
    /// The array of images.
    pub x: Option<&'a str>,
    /// The array of labels.
    pub y: Option<&'a str>,
}

/// The arrays that were chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chosen {
    pub images: String,
    pub labels: String,
    /// Which of which, unless there are no others and they are called as expected.
    pub note: Option<String>,
}

/// Which of the arrays `found` are images and labels.
///
/// # Errors
///
/// What is missing, and what there is.
pub(super) fn choose(found: &[String], asked: ArrayNames<'_>, split: Split) -> Result<Chosen, String> {
    let there = |name: &str| found.iter().any(|found| found == name);
    if let Some(missing) = [asked.x, asked.y].into_iter().flatten().find(|name| !there(name)) {
        return Err(format!("there is no array '{missing}'; found {}", listed(found)));
    }
    let [images, labels] = match (asked.x, asked.y) {
        (Some(x), Some(y)) => [x.to_owned(), y.to_owned()],
        (x, y) => {
            let fits = |[images, labels]: &[String; 2]| {
                x.is_none_or(|x| x == images) && y.is_none_or(|y| y == labels)
            };
            pairs(split).iter().filter_map(|pair| find(found, pair)).find(fits).ok_or_else(|| {
                format!("{}, found {}; name them with --x NAME --y NAME", expected(x, y), listed(found))
            })?
        }
    };
    let plain = asked == ArrayNames::default() && images == "x" && labels == "y";
    let note = (!plain)
        .then(|| format!("images are the array '{images}' and labels '{labels}', of {}", listed(found)));
    Ok(Chosen { images, labels, note })
}

fn expected(x: Option<&str>, y: Option<&str>) -> String {
    match (x, y) {
        (Some(x), None) => format!("which array has the labels of '{x}' cannot be told"),
        (None, Some(y)) => format!("which array has the images of '{y}' cannot be told"),
        _ => {
            "there is no array 'x' with images and 'y' with labels, nor another pair with usual names".into()
        }
    }
}

/// The pairs of names in the order in which they are tried.
fn pairs(split: Split) -> Vec<[String; 2]> {
    let parts = |parts: &[&str]| -> Vec<[String; 2]> {
        let of = |part: &&str| {
            let behind = NEUTRAL.map(|pair| pair.map(|name| format!("{name}_{part}")));
            let before = NEUTRAL.map(|pair| pair.map(|name| format!("{part}_{name}")));
            [behind, before].concat()
        };
        parts.iter().flat_map(of).collect()
    };
    let neutral = NEUTRAL.map(|pair| pair.map(String::from)).to_vec();
    match split {
        Split::Test => [neutral, parts(&TESTS), parts(&TRAINS)].concat(),
        Split::Train => [neutral, parts(&TRAINS), parts(&TESTS)].concat(),
    }
}

/// The arrays of these names, as they are written in the file.
fn find(found: &[String], pair: &[String; 2]) -> Option<[String; 2]> {
    let [images, labels] = pair;
    let one = |name: &String| {
        let exact = found.iter().find(|found| *found == name);
        exact.or_else(|| found.iter().find(|found| found.eq_ignore_ascii_case(name))).cloned()
    };
    Some([one(images)?, one(labels)?])
}

fn listed(found: &[String]) -> String {
    let mut names: Vec<&str> = found.iter().map(String::as_str).collect();
    names.sort_unstable();
    let more = if names.len() > 10 { ", …" } else { "" };
    names.truncate(10);
    if names.is_empty() { "none".to_owned() } else { format!("{}{more}", names.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(found: &[&str], x: Option<&str>, y: Option<&str>, split: Split) -> Result<[String; 2], String> {
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        choose(&found, ArrayNames { x, y }, split).map(|chosen| [chosen.images, chosen.labels])
    }

    #[test]
    fn usual_names() {
        for (found, test, train) in [
            (&["y", "x"][..], ["x", "y"], ["x", "y"]),
            (&["X", "Y"], ["X", "Y"], ["X", "Y"]),
            (&["X", "y"], ["X", "y"], ["X", "y"]),
            (&["x_train", "y_train", "x_test", "y_test"], ["x_test", "y_test"], ["x_train", "y_train"]),
            (&["X_test", "y_test"], ["X_test", "y_test"], ["X_test", "y_test"]),
            (
                &["train_images", "train_labels", "val_images", "val_labels", "test_images", "test_labels"],
                ["test_images", "test_labels"],
                ["train_images", "train_labels"],
            ),
            (
                &["train_images", "train_labels"],
                ["train_images", "train_labels"],
                ["train_images", "train_labels"],
            ),
            (&["images", "labels"], ["images", "labels"], ["images", "labels"]),
            (&["data", "target"], ["data", "target"], ["data", "target"]),
            (&["arr_0", "arr_1", "arr_2"], ["arr_0", "arr_1"], ["arr_0", "arr_1"]),
        ] {
            assert_eq!(chosen(found, None, None, Split::Test), Ok(test.map(String::from)));
            assert_eq!(chosen(found, None, None, Split::Train), Ok(train.map(String::from)));
        }
    }

    #[test]
    fn names_may_be_given() {
        let all = ["x_train", "y_train", "x_test", "y_test", "digits"];
        let ask = |x, y| chosen(&all, x, y, Split::Test);
        assert_eq!(ask(Some("digits"), Some("y_test")), Ok(["digits", "y_test"].map(String::from)));
        assert_eq!(ask(Some("x_train"), None), Ok(["x_train", "y_train"].map(String::from)));
        assert_eq!(ask(None, Some("y_train")), Ok(["x_train", "y_train"].map(String::from)));
        for (x, y, fragment) in [
            (Some("digits"), None, "the labels of 'digits' cannot be told"),
            (Some("digit"), Some("y_test"), "no array 'digit'; found digits, x_test"),
        ] {
            let message = ask(x, y).expect_err("refused");
            assert!(message.contains(fragment), "{message}");
        }
        let message = chosen(&["a", "b"], None, None, Split::Test).expect_err("refused");
        assert!(message.contains("found a, b; name them with --x NAME --y NAME"), "{message}");
    }

    #[test]
    fn what_was_taken_is_said() {
        let note = |found: &[&str]| {
            let found: Vec<String> = found.iter().map(ToString::to_string).collect();
            choose(&found, ArrayNames::default(), Split::Test).expect("found").note
        };
        assert_eq!(note(&["x", "y"]), None);
        let said = note(&["x_test", "y_test", "x_train", "y_train"]).expect("said");
        assert!(said.contains("'x_test'") && said.contains("of x_test, x_train, y_test, y_train"), "{said}");
    }
}
