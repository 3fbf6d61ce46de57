//! Pictures brought to a canvas, many at a time, with all that has to be said about them.

use rayon::prelude::*;

use super::canvas::Canvas;
use super::changes::Changes;
use super::loading::Loading;
use super::picture::Decoded;
use super::problems::{items, listed};
use crate::error::Result;

/// Pictures that are decoded before the next are begun.
pub(super) const TOGETHER: usize = 64;

/// Decodes pictures in parallel, and leaves out those that cannot be, or refuses them.
pub(super) struct Painter<'a> {
    canvas: &'a Canvas,
    loading: &'a Loading<'a>,
    pool: rayon::ThreadPool,
    seen: usize,
    changes: Changes,
    unusable: Vec<String>,
    damaged: Vec<String>,
}

impl<'a> Painter<'a> {
    pub fn new(canvas: &'a Canvas, loading: &'a Loading<'a>) -> Result<Self> {
        let (pool, changes) = (crate::thread_pool(loading.threads)?, Changes::default());
        Ok(Self { canvas, loading, pool, seen: 0, changes, unusable: Vec::new(), damaged: Vec::new() })
    }

    /// Paints `pictures`, of which `read` reads one and `name` is what messages call it; `take` gets the place of every
    /// usable one among them, and its pixels, in order.
    pub fn paint<T: Sync>(
        &mut self,
        pictures: &[T],
        read: &(dyn Fn(&T) -> Result<Decoded, String> + Sync),
        name: &dyn Fn(usize) -> String,
        take: &mut dyn FnMut(usize, Vec<u8>) -> Result<()>,
    ) -> Result<()> {
        self.loading.check_cancelled()?;
        let canvas = self.canvas;
        let one = |picture: &T| {
            let decoded = read(picture)?;
            let (changes, damage) = (Changes::of(&decoded, canvas), decoded.damage.clone());
            Ok((painted(decoded, canvas), changes, damage))
        };
        let results: Vec<Result<_, String>> = self.pool.install(|| pictures.par_iter().map(one).collect());
        self.seen += pictures.len();
        for (i, result) in results.into_iter().enumerate() {
            match result {
                Err(problem) => self.unusable.push(format!("{}: {problem}", name(i))),
                Ok((pixels, changes, damage)) => {
                    self.changes = self.changes.and(changes);
                    self.damaged.extend(damage.map(|damage| format!("{}: {damage}", name(i))));
                    take(i, pixels)?;
                }
            }
        }
        Ok(())
    }

    /// What has to be said about the pictures, or why they cannot be used at all.
    pub fn notes(self) -> Result<Vec<String>, String> {
        let Self { loading, seen, changes, unusable, damaged, .. } = self;
        if unusable.len() == seen || (loading.strict && !unusable.is_empty()) {
            return Err(listed("unusable image", &unusable));
        }
        if loading.strict && !damaged.is_empty() {
            return Err(listed("damaged image", &damaged));
        }
        let mut notes = Vec::new();
        let mut say = |problems: &[String], one: &str, several: &str| match problems {
            [] => {}
            [only] => notes.push(format!("{one}: {only}")),
            _ => notes.push(format!("{} of {seen} files {several}:{}", problems.len(), items(problems))),
        };
        say(
            &unusable,
            "a file cannot be used and is left out (--strict refuses it)",
            "cannot be used and are left out (--strict refuses them)",
        );
        say(&damaged, "a file is damaged but used", "are damaged but used");
        notes.extend(changes.notes(seen - unusable.len()));
        Ok(notes)
    }
}

/// The pixels of a picture on a canvas.
pub(super) fn painted(decoded: Decoded, canvas: &Canvas) -> Vec<u8> {
    let mut out = vec![0; canvas.len()];
    canvas.paint(decoded.picture, &mut out);
    out
}
