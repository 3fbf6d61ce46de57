//! `SHA256SUMS`: what the files of a finished run hold, as `sha256sum -c` reads it.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

pub(super) const SUMS: &str = "SHA256SUMS";

/// A line for every file in `folder` and the folders inside, by path, but for hidden ones and `except`.
pub(super) fn list(folder: &Path, except: &[&str]) -> Result<String> {
    let mut names = Vec::new();
    collect(folder, "", &mut names)?;
    names.retain(|name| !except.contains(&name.as_str()));
    names.sort_unstable();
    names.iter().map(|name| Ok(format!("{}  {name}\n", digest(&folder.join(name))?))).collect()
}

/// What is not as the list in `folder` says, in words.
pub(super) fn damage(folder: &Path) -> Vec<String> {
    let Ok(list) = std::fs::read_to_string(folder.join(SUMS)) else {
        return vec![format!("{SUMS} is missing or damaged")];
    };
    let check = |line: &str| match line.split_once("  ") {
        Some((_, name)) if !folder.join(name).exists() => Some(format!("{name} is missing")),
        Some((sum, name)) if digest(&folder.join(name)).is_ok_and(|found| found == sum) => None,
        Some((_, name)) => Some(format!("{name} is not what the run wrote")),
        None => Some(format!("{SUMS} is damaged")),
    };
    list.lines().filter_map(check).collect()
}

/// Paths of the regular files in `folder` inside `root`, relative to that, with slashes.
fn collect(root: &Path, folder: &str, names: &mut Vec<String>) -> Result<()> {
    let path = root.join(folder);
    for entry in std::fs::read_dir(&path).map_err(Error::io("read", &path))? {
        let entry = entry.map_err(Error::io("read", &path))?;
        let kind = entry.file_type().map_err(Error::io("read", &entry.path()))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let relative = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
        if name.starts_with('.') {
            continue;
        }
        if kind.is_dir() {
            collect(root, &relative, names)?;
        } else if kind.is_file() {
            names.push(relative);
        }
    }
    Ok(())
}

fn digest(path: &Path) -> Result<String> {
    let mut file = File::open(path).map_err(Error::io("read", path))?;
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut buffer).map_err(Error::io("read", path))? {
            0 => return Ok(crate::hex(&hash.finalize())),
            bytes => hash.update(&buffer[..bytes]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_what_is_missing_and_what_has_changed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir(path("inner")).expect("made");
        for (name, bytes) in [("b", "abc"), ("inner/a", ""), (".hidden", "x"), ("timing.json", "x")] {
            std::fs::write(path(name), bytes).expect("written");
        }
        let sums = list(folder.path(), &["timing.json"]).expect("listed");
        // FIPS 180-2's example, and the hash of nothing.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  b\n\
                        e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  inner/a\n";
        assert_eq!(sums, expected);
        assert_eq!(damage(folder.path()), ["SHA256SUMS is missing or damaged"]);
        std::fs::write(path(SUMS), sums).expect("written");
        assert_eq!(damage(folder.path()), [""; 0]);
        std::fs::write(path("b"), "abd").expect("written");
        std::fs::remove_file(path("inner/a")).expect("removed");
        assert_eq!(damage(folder.path()), ["b is not what the run wrote", "inner/a is missing"]);
    }
}
