//! Tables of comma-separated values, such as `labels.csv`: which image has which label.

use std::path::Path;

use crate::error::{Error, Result};

/// Largest table that is read, in bytes.
const LARGEST: u64 = 1 << 28;

/// The text of a table in which `columns` are expected.
pub(super) fn read(path: &Path, columns: &str) -> Result<String> {
    let origin = path.display().to_string();
    let about = std::fs::metadata(path).map_err(Error::io("read", path))?;
    if !about.is_file() || about.len() > LARGEST {
        return Err(Error::data(origin, format!("expected a table with the columns {columns}")));
    }
    let text = std::fs::read(path).map_err(Error::io("read", path))?;
    String::from_utf8(text).map_err(|_| {
        Error::data(&origin, format!("not a text in UTF-8; expected a table with the columns {columns}"))
    })
}

/// The names of the columns, which the first line gives.
pub(super) fn header(text: &str) -> Vec<String> {
    text.strip_prefix('\u{feff}').unwrap_or(text).lines().next().and_then(fields).unwrap_or_default()
}

/// What `columns` hold, line by line; their case does not matter. Fields with commas are put in double quotes,
/// which are doubled inside.
///
/// # Errors
///
/// All lines that are wrong.
pub(super) fn parse<const N: usize>(text: &str, columns: [&str; N]) -> Result<Vec<[String; N]>, Vec<String>> {
    let header = header(text);
    let places = columns.map(|name| header.iter().position(|field| field.eq_ignore_ascii_case(name)));
    if places.contains(&None) {
        return Err(vec![format!(
            "its first line is '{}'; expected {}",
            header.join(",").chars().take(80).collect::<String>(),
            columns.join(",")
        )]);
    }
    let places = places.map(Option::unwrap_or_default);
    let twice = |name: &&str| header.iter().filter(|field| field.eq_ignore_ascii_case(name)).count() > 1;
    if let Some(name) = columns.iter().find(|name| twice(name)) {
        return Err(vec![format!("its first line names the column '{name}' twice")]);
    }
    let (mut rows, mut problems) = (Vec::new(), Vec::new());
    for (i, line) in text.lines().enumerate().skip(1).filter(|(_, line)| !line.trim().is_empty()) {
        let number = i + 1;
        match fields(line) {
            None => problems.push(format!("line {number}: a quote is not closed")),
            Some(fields) if fields.len() != header.len() => {
                problems.push(format!("line {number}: {} columns, expected {}", fields.len(), header.len()));
            }
            Some(fields) => match (0..N).find(|&i| fields[places[i]].is_empty()) {
                Some(missing) => {
                    problems.push(format!("line {number}: the column '{}' is empty", columns[missing]));
                }
                None => rows.push(places.map(|place| fields[place].clone())),
            },
        }
    }
    if problems.is_empty() { Ok(rows) } else { Err(problems) }
}

/// The fields of a line, without the spaces around them; none if a quote is not closed.
fn fields(line: &str) -> Option<Vec<String>> {
    let mut fields = vec![String::new()];
    let mut characters = line.chars().peekable();
    let mut quoted = false;
    while let Some(character) = characters.next() {
        let field = fields.last_mut()?;
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => field.extend(characters.next()),
            '"' if quoted || field.trim().is_empty() => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            other => field.push(other),
        }
    }
    (!quoted).then(|| fields.iter().map(|field| field.trim().to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [&str; 2] = ["file", "label"];

    fn row(file: &str, label: &str) -> [String; 2] {
        [file, label].map(String::from)
    }

    #[test]
    fn columns_are_found_by_name() {
        let text = "\u{feff}width,Label,file\r\n8,3,a b.png\r\n\r\n8, great auk ,\"x,\"\"y\"\".png\"\r\n";
        let expected = vec![row("a b.png", "3"), row("x,\"y\".png", "great auk")];
        assert_eq!(parse(text, COLUMNS), Ok(expected));
    }

    #[test]
    fn every_bad_line_is_named() {
        let problems =
            parse("file,label\na.png\nb.png,1,2\nc.png,\n\"d.png,1\ne.png,1", COLUMNS).expect_err("bad");
        let lines: Vec<&str> = problems.iter().filter_map(|problem| problem.split(':').next()).collect();
        assert_eq!(lines, ["line 2", "line 3", "line 4", "line 5"]);
        for text in ["", "a.png,3\n", "\"file,label\n"] {
            assert!(
                parse(text, COLUMNS).expect_err("no header")[0].contains("expected file,label"),
                "{text}"
            );
        }
        let twice = parse("file,label,Label\na.png,1,2\n", COLUMNS).expect_err("which of them?");
        assert!(twice[0].contains("'label' twice"), "{twice:?}");
    }
}
