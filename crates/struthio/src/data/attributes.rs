//! What images are besides their class: a table of attributes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::dataset::Dataset;
use super::problems::listed;
use super::table;
use crate::error::{Error, Result};

/// The images of `data`, labelled by an attribute instead of their class, and the values of the attribute, of which
/// label i is number i. The table in `path` has a column `index`, the number of an image as in results, and one
/// column for each attribute; with several, `column` tells which. Values are in the order of numbers if all
/// are numbers, else of words.
///
/// # Errors
///
/// If the table has no such column, lines that are wrong, or not every image exactly once.
pub fn with_attribute(data: &Dataset, path: &Path, column: Option<&str>) -> Result<Dataset> {
    let origin = path.display().to_string();
    let error = |problem: String| Error::data(&origin, problem);
    let text = table::read(path, "index and an attribute")?;
    let (index, attributes): (Vec<String>, Vec<String>) =
        table::header(&text).into_iter().partition(|name| name.eq_ignore_ascii_case("index"));
    if index.is_empty() {
        let found = attributes.join(",");
        return Err(error(format!(
            "no column 'index'; the first line names the columns, and it is '{found}'"
        )));
    }
    if attributes.is_empty() {
        return Err(error("no attribute beside the column 'index'".into()));
    }
    let column = match (column, &attributes[..]) {
        (Some(column), known) if known.iter().any(|name| name.eq_ignore_ascii_case(column)) => column,
        (None, [only]) => only,
        (wanted, known) => {
            let wanted = wanted.map_or("choose an attribute".into(), |name| format!("no attribute '{name}'"));
            return Err(error(format!("{wanted}; there are: {}", known.join(", "))));
        }
    };
    let rows = table::parse(&text, ["index", column])
        .map_err(|problems| error(listed("not a table of attributes", &problems)))?;
    let (mut values, mut problems) = (BTreeMap::new(), Vec::new());
    for [index, value] in rows {
        match index.parse::<usize>() {
            Err(_) => problems.push(format!("'{index}' is not the number of an image")),
            Ok(number) => {
                if values.insert(number, value).is_some() {
                    problems.push(format!("image {number} is there twice"));
                }
            }
        }
    }
    let images = (0..data.len()).map(|i| data.index(i));
    problems
        .extend(images.clone().filter(|i| !values.contains_key(i)).map(|i| format!("image {i} is missing")));
    if !problems.is_empty() {
        return Err(error(listed("unusable attributes", &problems)));
    }
    let of: Vec<&String> = images.map(|i| &values[&i]).collect();
    let mut names: Vec<&String> = of.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
    if names.len() == 1 {
        return Err(error(format!("all images have the same '{column}', which tells nothing")));
    }
    if names.len() == of.len() {
        return Err(error(format!(
            "no two images have the same '{column}'; its values are to be put into groups"
        )));
    }
    let numbered = names.iter().map(|&name| Some((name.parse::<f64>().ok()?, name)));
    if let Some(mut numbered) = numbered.collect::<Option<Vec<_>>>() {
        numbered.sort_by(|a, b| a.0.total_cmp(&b.0));
        names = numbered.into_iter().map(|(_, name)| name).collect();
    }
    let label: BTreeMap<&String, u32> = names.iter().copied().zip(0..).collect();
    let labels = of.iter().map(|name| label[name]).collect();
    let note =
        format!("labels are the attribute '{column}' of {}", path.file_name().unwrap_or_default().display());
    let names = names.into_iter().cloned().collect();
    Ok(data.clone().labelled(labels).with_notes([note]).with_class_names(names))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Pixels;

    fn attempt(table: &str, column: Option<&str>) -> Result<(Vec<usize>, Vec<String>), String> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.csv");
        std::fs::write(&path, table).expect("written");
        let data = Dataset::new("test", vec![1], Pixels::Bytes(vec![0; 5]), vec![7; 5])
            .and_then(|data| data.range(2..5))
            .expect("data");
        let found = with_attribute(&data, &path, column);
        found
            .map(|data| ((0..3).map(|i| data.label(i)).collect(), data.class_names().to_vec()))
            .map_err(|e| e.to_string())
    }

    #[test]
    fn labels_are_numbered_in_the_order_of_the_values() {
        let table = "index,colour,size\n4,red,10\n2,blue,9\n3,red,9\n0,green,1\n";
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(attempt(table, Some("Colour")), Ok((vec![0, 1, 1], names(&["blue", "red"]))));
        assert_eq!(attempt(table, Some("size")), Ok((vec![0, 0, 1], names(&["9", "10"]))));
    }

    #[test]
    fn everything_wrong_is_said() {
        let message = |table, column| attempt(table, column).expect_err("refused");
        assert!(message("index,a,b\n2,1,2\n", None).contains("choose an attribute; there are: a, b"));
        assert!(message("number,a\n2,1\n", None).contains("no column 'index'"));
        assert!(message("index\n2\n", None).contains("no attribute beside"));
        assert!(message("index,a\n2,x\n3,x\n4,x\n", None).contains("all images have the same 'a'"));
        assert!(message("index,a\n2,x\n3,y\n4,z\n", None).contains("no two images have the same 'a'"));
        assert!(message("index,a\n", Some("c")).contains("no attribute 'c'; there are: a"));
        let all = message("index,a\n2,x\n2,y\nthree,z\n", None);
        for part in ["image 2 is there twice", "'three' is not", "image 3 is missing", "image 4 is missing"] {
            assert!(all.contains(part), "{all}");
        }
    }
}
