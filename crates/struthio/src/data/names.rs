/// Many names of files, one behind the other in one text, which takes a third of the memory of separate ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct FileNames {
    text: String,
    /// Where each name ends.
    ends: Vec<usize>,
}

impl FileNames {
    pub fn push(&mut self, name: &str) {
        self.text.push_str(name);
        self.ends.push(self.text.len());
    }

    pub fn get(&self, i: usize) -> Option<&str> {
        let end = *self.ends.get(i)?;
        let start = i.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(&self.text[start..end])
    }

    /// The names of `rows`; none if there are no names at all.
    pub fn pick(&self, rows: impl IntoIterator<Item = usize>) -> Self {
        let mut picked = Self::default();
        rows.into_iter().filter_map(|i| self.get(i)).for_each(|name| picked.push(name));
        picked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart() {
        let mut names = FileNames::default();
        ["a/1.png", "", "b/ü.jpg"].into_iter().for_each(|name| names.push(name));
        assert_eq!(
            (0..4).map(|i| names.get(i)).collect::<Vec<_>>(),
            [Some("a/1.png"), Some(""), Some("b/ü.jpg"), None]
        );
        assert_eq!(names.pick([2, 0]).get(0), Some("b/ü.jpg"));
        assert_eq!(names.pick(1..3).get(1), Some("b/ü.jpg"));
        assert_eq!(FileNames::default().pick([0]), FileNames::default());
    }
}
