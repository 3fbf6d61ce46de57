//! `labels.csv`: which image has which label.

/// A line of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub file: String,
    pub label: String,
}

/// Parses a table whose first line names its columns, `file` and `label` among them. Fields with
/// commas are put in double quotes, which are doubled inside.
///
/// # Errors
///
/// All lines that are wrong.
pub(super) fn parse(text: &str) -> Result<Vec<Row>, Vec<String>> {
    let mut lines = text.strip_prefix('\u{feff}').unwrap_or(text).lines().enumerate();
    let header = lines.next().and_then(|(_, line)| fields(line)).unwrap_or_default();
    let column = |name: &str| header.iter().position(|field| field.eq_ignore_ascii_case(name));
    let (Some(file), Some(label)) = (column("file"), column("label")) else {
        return Err(vec![format!(
            "its first line is '{}'; expected file,label",
            header.join(",").chars().take(80).collect::<String>()
        )]);
    };
    let (mut rows, mut problems) = (Vec::new(), Vec::new());
    for (i, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
        let number = i + 1;
        match fields(line) {
            None => problems.push(format!("line {number}: a quote is not closed")),
            Some(fields) if fields.len() != header.len() => {
                problems.push(format!("line {number}: {} columns, expected {}", fields.len(), header.len()));
            }
            Some(fields) if fields[file].is_empty() || fields[label].is_empty() => {
                problems.push(format!("line {number}: the file or its label is missing"));
            }
            Some(fields) => rows.push(Row { file: fields[file].clone(), label: fields[label].clone() }),
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

    fn row(file: &str, label: &str) -> Row {
        Row { file: file.into(), label: label.into() }
    }

    #[test]
    fn columns_are_found_by_name() {
        let text = "\u{feff}width,Label,file\r\n8,3,a b.png\r\n\r\n8, great auk ,\"x,\"\"y\"\".png\"\r\n";
        let expected = vec![row("a b.png", "3"), row("x,\"y\".png", "great auk")];
        assert_eq!(parse(text), Ok(expected));
    }

    #[test]
    fn every_bad_line_is_named() {
        let problems = parse("file,label\na.png\nb.png,1,2\nc.png,\n\"d.png,1\ne.png,1").expect_err("bad");
        let lines: Vec<&str> = problems.iter().filter_map(|problem| problem.split(':').next()).collect();
        assert_eq!(lines, ["line 2", "line 3", "line 4", "line 5"]);
        for text in ["", "a.png,3\n", "\"file,label\n"] {
            assert!(parse(text).expect_err("no header")[0].contains("expected file,label"), "{text}");
        }
    }
}
