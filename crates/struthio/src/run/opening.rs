//! Which folder a command gets for its run, and whether it begins one or continues one.

use std::ffi::OsStr;
use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::directory::{FIRST, LAST, LOCK, RunDirectory, WORK, check_own, remove_work};
use super::manifest::{Manifest, Timing};
use super::staged::read_regular;
use super::sums::{self, SUMS};
use crate::error::{Error, Result};

/// What to do about a run that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resume {
    /// Refuse it: this command cannot continue.
    Never,
    /// Refuse it, and say that it could be continued.
    NotAsked,
    /// Continue it if it is the same run, and begin where there is none.
    Asked,
}

/// What became of the request for a folder.
#[derive(Debug)]
pub enum Opened {
    /// There is work to do.
    Unfinished(RunDirectory),
    /// This very run was finished before, in this folder.
    Complete(PathBuf),
}

fn create_folder(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path).map_err(|error| {
        let folder = path.display();
        Error::Request(format!("cannot create the folder {folder}: {error}; choose another with --out"))
    })
}

/// What a folder holds.
enum Holding {
    Nothing,
    /// Something that a run must not touch, in words.
    Others(String),
    /// A run stopped before its manifest was written.
    Begun,
    Unfinished(Manifest),
    /// Work whose manifest is missing or damaged, in words.
    Headless(String),
    Finished(Manifest),
}

impl Opened {
    /// Takes the folder `path` for the run of `manifest`. It is made if it does not exist.
    ///
    /// # Errors
    ///
    /// If another process is at work in the folder, if it holds anything but this very run, or if
    /// it holds this run and `resume` does not ask for it.
    pub fn at(path: &Path, manifest: Manifest, resume: Resume) -> Result<Self> {
        let metadata = std::fs::metadata(path);
        let what = match (&metadata, std::fs::symlink_metadata(path)) {
            (Ok(metadata), _) if !metadata.is_dir() => Some("is not a folder"),
            (Err(_), Ok(_)) => Some("is a link that leads nowhere"),
            _ => None,
        };
        if let Some(what) = what {
            return Err(Error::Request(format!(
                "cannot write a run to {}: it {what}; choose another with --out",
                path.display()
            )));
        }
        create_folder(path)?;
        let refuse = |what: String| Error::Request(format!("the folder {} {what}", path.display()));
        let lock = match holding(path)? {
            Holding::Others(what) => return Err(refuse(what)),
            Holding::Finished(_) => None,
            _ => Some(lock(path)?),
        };
        // Looked at again, since another process may have come to its end before the lock was ours.
        match (holding(path)?, lock) {
            (Holding::Finished(there), lock) => {
                drop(lock);
                remove_work(path)?;
                if resume == Resume::Asked {
                    same_run(&manifest, &there).and_then(|()| check_files(path)).map_err(refuse)?;
                    return Ok(Self::Complete(path.to_owned()));
                }
                Err(refuse(format!(
                    "is not empty: it holds a finished run of `{}`; choose another with --out",
                    there.command_line()
                )))
            }
            (Holding::Unfinished(there), Some(lock)) => {
                continuation(&manifest, &there, resume).map_err(refuse)?;
                RunDirectory::new(path, there, true, lock).map(Self::Unfinished)
            }
            (Holding::Headless(what) | Holding::Others(what), _) => Err(refuse(what)),
            (Holding::Nothing | Holding::Begun, Some(lock)) => {
                RunDirectory::new(path, manifest, false, lock).map(Self::Unfinished)
            }
            (_, None) => Err(refuse("changed while it was looked at; try again".into())),
        }
    }

    /// Takes one of `runs/<stem>-1`, `runs/<stem>-2`, … for the run of `manifest`: if `resume` asks
    /// for it the last that holds this run unfinished, or else the first that does not exist.
    pub fn numbered(stem: &str, manifest: Manifest, resume: Resume) -> Result<Self> {
        let runs = Path::new("runs");
        create_folder(runs)?;
        if resume == Resume::Asked
            && let Some(path) = last_unfinished(runs, stem, &manifest)?
        {
            return Self::at(&path, manifest, resume);
        }
        for number in 1..10_000 {
            let path = runs.join(format!("{stem}-{number}"));
            // Making the folder is what takes the number: another command may be doing the same.
            match std::fs::create_dir(&path) {
                Ok(()) => return Self::at(&path, manifest, Resume::Never),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Error::io("create the folder", &path)(error)),
            }
        }
        Err(Error::Request(format!(
            "runs/{stem}-1 to runs/{stem}-9999 all exist; choose a folder with --out"
        )))
    }
}

fn holding(path: &Path) -> Result<Holding> {
    // Listed once: what another process does meanwhile is seen as a whole or not at all.
    let names = names(path)?;
    let has = |name: &str| names.iter().any(|known| known == OsStr::new(name));
    let manifest = if has(FIRST) {
        let name = path.join(FIRST);
        Some(serde_json::from_slice(&read_regular(&name).map_err(Error::io("read", &name))?))
    } else {
        None
    };
    let unreadable = if has(FIRST) { "is damaged" } else { "is missing" };
    Ok(match manifest {
        Some(Ok(manifest)) if has(LAST) || (has(SUMS) && !has(WORK)) => Holding::Finished(manifest),
        Some(Ok(manifest)) => Holding::Unfinished(manifest),
        None if has(WORK) && names.len() == 1 && is_bare(&path.join(WORK))? => Holding::Begun,
        None if names.is_empty() => Holding::Nothing,
        _ if has(WORK) => Holding::Headless(format!(
            "holds an unfinished run whose {FIRST} {unreadable}, so nothing tells which run it is; put that file back \
             and run the same command again, or choose another folder with --out (what the run found is in {WORK})"
        )),
        _ if has(LAST) && has(SUMS) => Holding::Others(format!(
            "holds a finished run whose {FIRST} {unreadable}; choose another with --out"
        )),
        _ => Holding::Others("is not empty; choose another with --out, or empty it first".into()),
    })
}

fn names(folder: &Path) -> Result<Vec<std::ffi::OsString>> {
    let entries = std::fs::read_dir(folder).map_err(Error::io("read", folder))?;
    entries.map(|entry| Ok(entry.map_err(Error::io("read", folder))?.file_name())).collect()
}

/// Whether `work` has nothing but what is there before the manifest.
fn is_bare(work: &Path) -> Result<bool> {
    Ok(names(work)?.iter().all(|name| name == LOCK || name == FIRST))
}

/// Makes sure that a finished run has the files it was finished with.
fn check_files(path: &Path) -> Result<(), String> {
    let timing = read_regular(&path.join(LAST)).ok();
    let timing: Option<Timing> = timing.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let damage = match timing {
        Some(timing) => sums::damage(path, &timing.sums),
        None => vec![format!("{LAST} is missing or damaged")],
    };
    if damage.is_empty() {
        return Ok(());
    }
    Err(format!(
        "holds this run, finished, but its files were damaged since:\n  - {}\n\
         run the command again in another folder (--out), or delete this one first",
        damage.join("\n  - ")
    ))
}

/// Keeps other processes out of the folder for as long as the file is open; the system takes the
/// lock back from a process that was killed.
fn lock(path: &Path) -> Result<File> {
    check_own(path, &format!("{WORK}/{LOCK}"))?;
    let work = path.join(WORK);
    std::fs::create_dir_all(&work).map_err(|error| {
        Error::Request(format!(
            "cannot write to {}: {error}; make it writable, or choose another folder with --out",
            path.display()
        ))
    })?;
    let name = work.join(LOCK);
    let file = File::options().create(true).truncate(false).write(true).open(&name);
    let file = file.map_err(Error::io("write", &name))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Request(format!(
            "another struthio is at work in the folder {}; wait until it has ended, or choose another folder with --out",
            path.display()
        ))),
        // Some network file systems have no locks; there the user has to see to it.
        Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => Ok(file),
        Err(TryLockError::Error(error)) => Err(Error::io("lock", &name)(error)),
    }
}

/// Whether the unfinished run of `there` may be continued as that of `ours`; else why not.
fn continuation(ours: &Manifest, there: &Manifest, resume: Resume) -> Result<(), String> {
    let same = same_run(ours, there);
    match (resume, &same) {
        (Resume::Asked, _) => same,
        (Resume::NotAsked, Ok(())) => Err(
            "is not empty: it holds an unfinished run of this command; --resume continues it, or choose another folder with --out"
                .into(),
        ),
        (Resume::NotAsked, Err(_)) => Err(format!(
            "is not empty: it holds an unfinished run of `{}`, which the same command with --resume continues; \
             a different command needs another folder (--out)",
            there.command_line()
        )),
        (Resume::Never, _) => Err(format!(
            "is not empty: it holds an unfinished run of `{}`; choose another with --out, or empty it first",
            there.command_line()
        )),
    }
}

/// What makes the run in the folder another one than ours, in words.
fn same_run(ours: &Manifest, there: &Manifest) -> Result<(), String> {
    let differences = ours.differences(there);
    if differences.is_empty() {
        return Ok(());
    }
    Err(format!(
        "holds another run; a different one needs another folder (--out):\n  - {}",
        differences.join("\n  - ")
    ))
}

fn last_unfinished(runs: &Path, stem: &str, manifest: &Manifest) -> Result<Option<PathBuf>> {
    let mut found = None;
    for entry in std::fs::read_dir(runs).map_err(Error::io("read", runs))?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let number = name.strip_prefix(stem).and_then(|rest| rest.strip_prefix('-')?.parse::<u32>().ok());
        let Some(number) = number.filter(|number| found.as_ref().is_none_or(|(last, _)| number > last))
        else {
            continue;
        };
        // What cannot be read is none of ours.
        if let Ok(Holding::Unfinished(there)) = holding(&entry.path())
            && same_run(manifest, &there).is_ok()
        {
            found = Some((number, entry.path()));
        }
    }
    Ok(found.map(|(_, path)| path))
}
