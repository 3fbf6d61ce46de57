//! `SHA256SUMS`: what the files of a finished run hold, as `sha256sum -c` reads it.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::staged::read_regular;
use crate::error::{Error, Result};

pub(super) const SUMS: &str = "SHA256SUMS";

/// A line for each of the files `names` in `folder`.
pub(super) fn list<'a>(folder: &Path, names: impl Iterator<Item = &'a str>) -> Result<String> {
    names.map(|name| Ok(format!("{}  {name}\n", digest(&folder.join(name))?))).collect()
}

/// SHA-256 of a list, by which it is told from a damaged one.
pub(super) fn digest_of(list: &str) -> String {
    crate::hex(&Sha256::digest(list))
}

/// What is not as the list in `folder`, which has the hash `expected`, says, in words.
pub(super) fn damage(folder: &Path, expected: &str) -> Vec<String> {
    let list = read_regular(&folder.join(SUMS)).ok().and_then(|list| String::from_utf8(list).ok());
    let list = list.unwrap_or_default();
    if digest_of(&list) != expected {
        return vec![format!("{SUMS} is missing or damaged")];
    }
    let check = |line: &str| {
        let (sum, name) = line.split_once("  ")?;
        let path = folder.join(name);
        if !path.is_file() {
            return Some(format!("{name} is missing"));
        }
        match digest(&path) {
            Ok(found) if found == sum => None,
            Ok(_) => Some(format!("{name} is not what the run wrote")),
            Err(error) => Some(format!("{name} cannot be read: {error}")),
        }
    };
    list.lines().filter_map(check).collect()
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
        for (name, bytes) in [("b", "abc"), ("inner/a", "")] {
            std::fs::write(path(name), bytes).expect("written");
        }
        let sums = list(folder.path(), ["b", "inner/a"].into_iter()).expect("listed");
        // FIPS 180-2's example, and the hash of nothing.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  b\n\
                        e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  inner/a\n";
        assert_eq!(sums, expected);
        let hash = digest_of(&sums);
        for damaged in ["", &sums[..20], &sums[..sums.len() / 2], "b\n"] {
            std::fs::write(path(SUMS), damaged).expect("written");
            assert_eq!(damage(folder.path(), &hash), ["SHA256SUMS is missing or damaged"]);
        }
        std::fs::write(path(SUMS), sums).expect("written");
        assert_eq!(damage(folder.path(), &hash), [""; 0]);
        std::fs::write(path("b"), "abd").expect("written");
        std::fs::remove_file(path("inner/a")).expect("removed");
        assert_eq!(damage(folder.path(), &hash), ["b is not what the run wrote", "inner/a is missing"]);
    }
}
