//! The command that continues one that was stopped, as it would be typed.

use std::path::Path;

/// The words of this process with `--resume`, and with the folder `out` if none was named.
pub fn continuation(out: Option<&Path>) -> String {
    let typed = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    with_resume(typed, out).iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

fn with_resume(mut words: Vec<String>, out: Option<&Path>) -> Vec<String> {
    if let Some(out) = out {
        words.extend(["--out".to_owned(), out.display().to_string()]);
    }
    if !words.iter().any(|word| word == "--resume") {
        words.push("--resume".to_owned());
    }
    words
}

/// As a shell needs it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_a_shell_would_change_are_quoted() {
        let words = ["struthio", "attack", "my model.onnx", "--data", "mnist:test[0..5]", "it's", ""];
        let quoted: Vec<String> = words.iter().map(|word| quoted(word)).collect();
        assert_eq!(
            quoted.join(" "),
            r"struthio attack 'my model.onnx' --data 'mnist:test[0..5]' 'it'\''s' ''"
        );
    }

    #[test]
    fn what_is_missing_is_added_once() {
        let typed = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        let added = with_resume(typed(&["s", "attack", "m"]), Some(Path::new("runs/attack-m-1")));
        assert_eq!(added, ["s", "attack", "m", "--out", "runs/attack-m-1", "--resume"]);
        let named = typed(&["s", "attack", "m", "--resume", "--out", "x"]);
        assert_eq!(with_resume(named.clone(), None), named);
    }
}
