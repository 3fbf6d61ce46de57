//! The 1,000 classes of `ImageNet` (ILSVRC 2012): their names, and their ids in `WordNet`.

use super::classes::ClassNames;

/// A line for each class in the order of networks: id and name. Both are plain facts; the short names are those that
/// torchvision uses.
const CLASSES: &str = include_str!("imagenet_classes.txt");

/// How many classes a network of `ImageNet` has.
pub(super) const COUNT: usize = 1000;

/// What is said where names are given to classes by their number alone.
pub(super) const NOTE: &str =
    "the model has 1000 classes, which get the names of ImageNet's; --classes gives others";

fn lines() -> impl Iterator<Item = (&'static str, &'static str)> {
    CLASSES.lines().filter_map(|line| line.split_once('\t'))
}

/// The names of the classes by their numbers, which all differ.
pub(super) fn names() -> Vec<String> {
    lines().map(|(_, name)| name.to_owned()).collect()
}

impl ClassNames {
    /// The classes of `ImageNet`, in the order of networks for it.
    #[must_use]
    pub fn imagenet() -> Self {
        Self::of("ImageNet's classes", names())
    }
}

/// The number of the class with this id, such as n01440764.
pub(super) fn of_id(id: &str) -> Option<u32> {
    let at = lines().position(|(known, _)| known == id)?;
    Some(at as u32)
}

/// The number of the class with this name, with spaces or what folders have for them; its case matters only where
/// two names differ in nothing else, the dog Cardigan and the garment.
pub(super) fn of_name(name: &str) -> Option<u32> {
    let spaced = |name: &str| name.replace(['_', '-'], " ");
    let name = spaced(name);
    let exact = lines().position(|(_, known)| spaced(known) == name);
    let at = exact.or_else(|| {
        let mut alike =
            lines().enumerate().filter(|(_, (_, known))| spaced(known).eq_ignore_ascii_case(&name));
        alike.next().filter(|_| alike.next().is_none()).map(|(at, _)| at)
    })?;
    Some(at as u32)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_thousand_different_classes_in_the_order_of_their_ids() {
        let ids: Vec<&str> = lines().map(|(id, _)| id).collect();
        assert!(ids.len() == COUNT && ids.is_sorted());
        assert!(ids.iter().all(|id| id.len() == 9 && id.starts_with('n')));
        let plain: BTreeSet<Option<u32>> = names().iter().map(|name| of_name(name)).collect();
        assert_eq!(plain.len(), COUNT);
    }

    #[test]
    fn well_known_classes() {
        // The ostrich is what the paper's adversarial images are taken for.
        for (number, id, name) in
            [(0, "n01440764", "tench"), (9, "n01518878", "ostrich"), (999, "n15075141", "toilet_tissue")]
        {
            assert_eq!((of_id(id), of_name(name)), (Some(number), Some(number)));
        }
        assert_eq!(
            (of_name("Golden-Retriever"), of_name("emu"), of_id("n00000001")),
            (Some(207), None, None)
        );
        assert_eq!(["Cardigan", "cardigan", "CARDIGAN"].map(of_name), [Some(264), Some(474), None]);
    }
}
