//! Which files of a folder are its images, and how they are labelled. No picture is decoded here.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::picture::{self, FORMATS};
use super::problems::listed;
use super::table;
use crate::error::{Error, Result};

/// The table of labels in a folder without sub-folders for the classes.
const TABLE: &str = "labels.csv";
/// What systems leave in folders.
const CLUTTER: [&str; 7] =
    ["__MACOSX", "Thumbs.db", "ehthumbs.db", "desktop.ini", "$RECYCLE.BIN", "@eaDir", "lost+found"];
/// How many names are given as examples.
const SHOWN: usize = 5;

/// The images of a folder, which have not been read yet.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub files: Vec<PathBuf>,
    /// The different labels there are, images or not; none if nothing is labelled.
    pub classes: Vec<String>,
    /// For each file, which of the `classes` it has.
    pub labels: Vec<usize>,
    /// What messages call a class.
    pub class: &'static str,
    pub notes: Vec<String>,
}

impl Listing {
    /// The images of the folder at `path`: those of its table of labels, else of its sub-folders, each a class, else
    /// those beside each other without labels. Or the one picture at `path`.
    ///
    /// # Errors
    ///
    /// If the folder or its table cannot be read, or there are no images.
    pub fn of(path: &Path) -> Result<Self> {
        if !path.is_dir() {
            return Ok(Self { files: vec![path.to_owned()], ..Self::default() });
        }
        let table = path.join(TABLE);
        if table.exists() {
            return by_table(path, &table);
        }
        let mut seen = Seen::default();
        let listing = by_folders(path, &mut seen)?;
        let mut listing = match (listing.files.is_empty(), seen.beside.is_empty()) {
            (true, true) => return Err(Error::data(path.display().to_string(), nothing(path)?)),
            (true, false) => Self { files: std::mem::take(&mut seen.beside), ..Self::default() },
            (false, _) => listing,
        };
        listing.notes.extend(seen.note(path));
        Ok(listing)
    }

    /// The class of file `i` in words.
    pub fn class_of(&self, i: usize) -> &str {
        &self.classes[self.labels[i]]
    }

    /// Whether the images have labels.
    pub fn is_labelled(&self) -> bool {
        !self.labels.is_empty()
    }
}

/// What was seen in a folder besides the images of classes.
#[derive(Default)]
struct Seen {
    /// Pictures that are in none of the sub-folders.
    beside: Vec<PathBuf>,
    /// Sub-folders of classes.
    nested: usize,
    /// Other files by their extensions.
    others: BTreeMap<String, usize>,
}

impl Seen {
    /// The pictures of a `folder`, which is that of a class or of all.
    fn pictures(&mut self, paths: Vec<PathBuf>) -> Vec<PathBuf> {
        let (pictures, others): (Vec<_>, Vec<_>) =
            paths.into_iter().partition(|path| picture::is_picture(path));
        for other in others {
            let extension = other.extension().map(|extension| extension.to_string_lossy().to_lowercase());
            *self.others.entry(extension.unwrap_or_default()).or_default() += 1;
        }
        pictures
    }

    fn note(&self, path: &Path) -> Option<String> {
        let files: usize = self.others.values().sum();
        let mut kinds: Vec<(&String, &usize)> = self.others.iter().collect();
        kinds.sort_by_key(|&(_, count)| std::cmp::Reverse(*count));
        let kind = |(extension, count): &(&String, &usize)| match extension.as_str() {
            "" => format!("{count} without an extension"),
            _ => format!("{count} .{extension}"),
        };
        let kinds: Vec<String> = kinds.iter().map(kind).collect();
        let mut parts = Vec::new();
        if files > 0 {
            parts.push(format!(
                "{} ({})",
                counted(files, "file that is no picture", "files that are no pictures"),
                shortened(&kinds)
            ));
        }
        if !self.beside.is_empty() {
            let names: Vec<String> = self.beside.iter().map(|file| name_in(path, file)).collect();
            let what = counted(names.len(), "picture in no sub-folder", "pictures in no sub-folder");
            parts.push(format!("{what} ({})", shortened(&names)));
        }
        if self.nested > 0 {
            parts.push(counted(
                self.nested,
                "folder within those of the classes",
                "folders within those of the classes",
            ));
        }
        (!parts.is_empty()).then(|| format!("{}: left out {}", path.display(), parts.join(", ")))
    }
}

fn counted(count: usize, one: &str, several: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { several })
}

/// The first names, and how many there are besides.
fn shortened(names: &[String]) -> String {
    let more = names.len().saturating_sub(SHOWN);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{rest}", names[..names.len() - more].join(", "))
}

/// What messages call `file`: its path within `folder`, if it is there.
pub(super) fn name_in(folder: &Path, file: &Path) -> String {
    let name = file.strip_prefix(folder).ok().filter(|name| !name.as_os_str().is_empty());
    name.unwrap_or(file).display().to_string()
}

/// Images in sub-folders, in the order of their paths.
fn by_folders(path: &Path, seen: &mut Seen) -> Result<Listing> {
    let mut listing = Listing { class: "sub-folder", ..Listing::default() };
    let mut empty = Vec::new();
    let (folders, files): (Vec<_>, Vec<_>) = entries(path)?.into_iter().partition(|entry| entry.is_dir());
    seen.beside = seen.pictures(files);
    for folder in folders {
        let Some(class) = folder.file_name().and_then(OsStr::to_str).map(str::to_owned) else {
            return Err(Error::data(folder.display().to_string(), "the name of a class must be valid UTF-8"));
        };
        let (nested, files): (Vec<_>, Vec<_>) =
            entries(&folder)?.into_iter().partition(|entry| entry.is_dir());
        seen.nested += nested.len();
        let images = seen.pictures(files);
        if images.is_empty() {
            empty.push(class.clone());
        }
        listing.labels.extend(images.iter().map(|_| listing.classes.len()));
        listing.files.extend(images);
        listing.classes.push(class);
    }
    if !empty.is_empty() && !listing.files.is_empty() {
        listing.notes.push(format!("{}: no images of {}", path.display(), shortened(&empty)));
    }
    Ok(listing)
}

/// What is wrong with a folder without images, and perhaps which one was meant.
fn nothing(path: &Path) -> Result<String> {
    let mut meant = Vec::new();
    for folder in entries(path)?.into_iter().filter(|entry| entry.is_dir()) {
        let inner = entries(&folder)?;
        let deeper = inner.iter().filter(|entry| entry.is_dir()).take(SHOWN);
        let mut files = deeper.flat_map(|folder| entries(folder).unwrap_or_default()).take(1000);
        if files.any(|file| picture::is_picture(&file)) {
            meant.push(folder.display().to_string());
        }
    }
    let hint =
        if meant.is_empty() { String::new() } else { format!("; perhaps {} was meant", meant.join(" or ")) };
    Ok(format!(
        "there are no images; expected {FORMATS} files in one sub-folder per class, beside a {TABLE} with the \
         columns file,label, or alone, without labels{hint}"
    ))
}

/// What is in a folder, sorted by name, but for what is hidden or left there by a system.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let unreadable = |error| Error::io("read", folder)(error);
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name();
        let clutter = CLUTTER.iter().any(|clutter| name.eq_ignore_ascii_case(clutter));
        if !clutter && !name.to_string_lossy().starts_with('.') {
            paths.push(entry.path());
        }
    }
    paths.sort_unstable();
    Ok(paths)
}

/// Images in the order of a table.
fn by_table(path: &Path, table: &Path) -> Result<Listing> {
    let origin = table.display().to_string();
    let rows = table::parse(&table::read(table, "file,label")?, ["file", "label"])
        .map_err(|problems| Error::data(&origin, listed("not a table of labels", &problems)))?;
    if rows.is_empty() {
        return Err(Error::data(origin, "the table names no images; expected lines such as photo.jpg,3"));
    }
    let mut listing = Listing { class: "label", ..Listing::default() };
    let mut places: HashMap<String, usize> = HashMap::new();
    for [file, label] in rows {
        let next = places.len();
        let place = *places.entry(label.clone()).or_insert(next);
        if place == next {
            listing.classes.push(label);
        }
        listing.labels.push(place);
        listing.files.push(path.join(file));
    }
    let missing = missing(path, &listing.files)?;
    if !missing.is_empty() {
        let what = counted(missing.len(), "picture is not in", "pictures are not in");
        listing.notes.push(format!(
            "{}: {what} {TABLE} and left out ({})",
            path.display(),
            shortened(&missing)
        ));
    }
    Ok(listing)
}

/// The pictures beside those of a table that it does not name.
fn missing(path: &Path, files: &[PathBuf]) -> Result<Vec<String>> {
    let known: BTreeSet<&PathBuf> = files.iter().collect();
    let folders: BTreeSet<&Path> = files.iter().filter_map(|file| file.parent()).collect();
    let mut missing = Vec::new();
    for folder in folders.into_iter().filter(|folder| folder.is_dir()) {
        let unknown = entries(folder)?.into_iter().filter(|file| !known.contains(file) && !file.is_dir());
        missing.extend(unknown.filter(|file| picture::is_picture(file)).map(|file| name_in(path, &file)));
    }
    Ok(missing)
}
