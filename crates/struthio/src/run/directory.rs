use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::manifest::{Manifest, ModelRecord, Timing};
use super::staged::{StagedFile, read_regular};
use super::sums::{self, SUMS};
use crate::error::{Error, Result};

/// Mirrors the run directory: what is not complete is made here, under the path it will have there.
pub(super) const WORK: &str = ".struthio-partial";
/// Inside [`WORK`]: held by the process that fills the folder.
pub(super) const LOCK: &str = "lock";
pub(super) const FIRST: &str = "manifest.json";
/// Written when everything else is there, so it tells that a run is finished.
pub(super) const LAST: &str = "timing.json";

/// A folder that one command fills; no other process can while this exists.
///
/// The manifest is there from the beginning. Everything else is made in a hidden folder inside and
/// moves out when it is complete; the hidden folder goes at the very end, so that a run that was
/// stopped, however that came, can be told from a finished one and continued.
#[derive(Debug)]
pub struct RunDirectory {
    path: PathBuf,
    manifest: Manifest,
    continued: bool,
    lock: File,
    /// Names of files that belong to the run, whether they are there yet or not.
    names: RefCell<BTreeSet<String>>,
}

impl RunDirectory {
    pub(super) fn new(path: &Path, manifest: Manifest, continued: bool, lock: File) -> Result<Self> {
        let run = Self { path: path.to_owned(), manifest, continued, lock, names: RefCell::default() };
        run.write_json(FIRST, &run.manifest)?;
        Ok(run)
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is run.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Whether an earlier process began this run.
    #[must_use]
    pub fn is_continued(&self) -> bool {
        self.continued
    }

    /// Enters a model into the manifest.
    ///
    /// # Errors
    ///
    /// If the run was begun with another model of that name.
    pub fn add_model(&mut self, model: ModelRecord) -> Result<()> {
        match self.manifest.models.iter().find(|known| known.name == model.name) {
            Some(known) if *known == model => Ok(()),
            Some(known) => Err(Error::Request(format!(
                "{}: the run in {} was begun with a network of SHA-256 {}, but its training gives {} now; \
                 start again in another folder",
                model.name,
                self.path.display(),
                known.sha256,
                model.sha256
            ))),
            None => {
                self.manifest.models.push(model);
                self.write_json(FIRST, &self.manifest)
            }
        }
    }

    /// A file that will be called `name` (which may lead through folders) once it is complete.
    pub fn stage(&self, name: &str) -> Result<StagedFile> {
        let temporary = self.working(name)?;
        self.check_place(name)?;
        let path = self.path.join(name);
        let folder = path.parent().unwrap_or(&self.path);
        std::fs::create_dir_all(folder).map_err(Error::io("create the folder", folder))?;
        StagedFile::create_as(&temporary, &path)
    }

    /// Where the file that will be called `name` is made; its folder exists.
    pub(super) fn working(&self, name: &str) -> Result<PathBuf> {
        self.check_presence()?;
        check_own(&self.path, &format!("{WORK}/{name}"))?;
        self.adopt(name);
        let path = self.path.join(WORK).join(name);
        let folder = path.parent().unwrap_or(&self.path);
        std::fs::create_dir_all(folder).map_err(Error::io("create the folder", folder))?;
        Ok(path)
    }

    /// A folder for what is needed until the run is finished, with which it goes.
    pub fn workspace(&self, name: &str) -> Result<PathBuf> {
        self.check_presence()?;
        let name = format!("{WORK}/{name}");
        check_own(&self.path, &format!("{name}/any"))?;
        let folder = self.path.join(name);
        std::fs::create_dir_all(&folder).map_err(Error::io("create the folder", &folder))?;
        Ok(folder)
    }

    /// Makes sure that the file `name` of the run is its own if it is there.
    pub(super) fn check_place(&self, name: &str) -> Result<()> {
        check_own(&self.path, name)
    }

    /// Counts `name`, which an earlier process finished, among the files of the run.
    pub(crate) fn adopt(&self, name: &str) {
        self.names.borrow_mut().insert(name.to_owned());
    }

    /// Whoever writes to a file that was removed is not told so by the system.
    pub(super) fn check_presence(&self) -> Result<()> {
        if self.path.join(WORK).join(LOCK).exists() {
            return Ok(());
        }
        Err(Error::Request(format!(
            "the folder {} was removed, moved or emptied while a run was writing to it; put it back, or start again",
            self.path.display()
        )))
    }

    /// Writes a file.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let mut file = self.stage(name)?;
        file.write_all(bytes).map_err(Error::io("write", file.path()))?;
        file.finish()
    }

    /// Writes a file of JSON.
    pub fn write_json(&self, name: &str, value: &impl Serialize) -> Result<()> {
        let mut bytes = serde_json::to_vec_pretty(value)
            .map_err(|error| Error::io("write", &self.path.join(name))(error.into()))?;
        bytes.push(b'\n');
        self.write(name, &bytes)
    }

    /// The value in a file of JSON; `None` if it is not there or not what was expected.
    #[must_use]
    pub fn read_json<T: serde::de::DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_slice(&read_regular(&self.path.join(name)).ok()?).ok()
    }

    /// Declares the run finished, once all its files are there.
    pub fn finish(self, threads: usize, seconds: f64, stages: Vec<(String, f64)>) -> Result<()> {
        let names = self.names.take();
        let finished = names.iter().map(String::as_str).filter(|name| self.path.join(name).is_file());
        let sums = sums::list(&self.path, finished.filter(|name| ![SUMS, LAST].contains(name)))?;
        self.write(SUMS, sums.as_bytes())?;
        let sums = sums::digest_of(&sums);
        self.write_json(LAST, &Timing::new(threads, seconds, stages, self.continued, sums))?;
        drop(self.lock); // whoever takes it now finds a finished run
        remove_work(&self.path)
    }
}

/// Makes sure that on the way from `run` to its file `name` there is nothing but folders, and at the end
/// nothing but a file: through a link, a run would write to other places.
pub(super) fn check_own(run: &Path, name: &str) -> Result<()> {
    let mut path = run.to_owned();
    let mut parts = name.split('/').peekable();
    while let Some(part) = parts.next() {
        path.push(part);
        let Ok(found) = std::fs::symlink_metadata(&path) else { return Ok(()) };
        let (fits, expected) = match parts.peek() {
            Some(_) => (found.is_dir(), "folder"),
            None => (found.is_file(), "regular file"),
        };
        if !fits {
            return Err(Error::Request(format!(
                "{} is not a {expected}, so no run made it; remove it, and run the command again",
                path.display()
            )));
        }
    }
    Ok(())
}

/// Removes what a finished run has no more use for.
pub(super) fn remove_work(path: &Path) -> Result<()> {
    let work = path.join(WORK);
    match std::fs::remove_dir_all(&work) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io("remove the folder", &work)(error))
        }
        _ => Ok(()),
    }
}
