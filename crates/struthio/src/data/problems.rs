//! Many problems in one message.

/// How many are spelled out.
const SHOWN: usize = 10;

/// `what` and the problem if there is only one; else a list of up to ten, and how many more there are.
pub(super) fn listed(what: &str, problems: &[String]) -> String {
    if let [only] = problems {
        return format!("{what}: {only}");
    }
    format!("{what}, {} times:{}", problems.len(), items(problems))
}

/// A line for each of up to ten problems, and how many more there are.
pub(super) fn items(problems: &[String]) -> String {
    let shown: Vec<&str> = problems.iter().take(SHOWN).flat_map(|problem| ["\n  - ", problem]).collect();
    let rest = match problems.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!("\n  and {more} more"),
    };
    shown.concat() + &rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_and_a_count() {
        let problems: Vec<String> = (0..13).map(|i| format!("p{i}")).collect();
        assert_eq!(listed("bad", &problems[..1]), "bad: p0");
        let message = listed("bad", &problems);
        assert!(message.contains("13 times") && message.contains("p9") && !message.contains("p10"));
        assert!(message.ends_with("and 3 more"), "{message}");
    }
}
