//! A configuration file that is read again when it has changed.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

/// Longer files are cut: nobody's configuration, and the memory is the web server's.
const LARGEST: u64 = 16 * 1024 * 1024;

/// What a file said when it was looked at last.
#[derive(Debug)]
pub struct Followed<T> {
    seen: Option<(Option<Stamp>, Arc<T>)>,
}

/// What changes when a file does. Times alone may stand still while it is replaced.
type Stamp = [i64; 7];

impl<T> Default for Followed<T> {
    fn default() -> Followed<T> {
        Followed { seen: None }
    }
}

impl<T> Followed<T> {
    /// What the file says now. One that is not there or may not be read says nothing, as an empty one does. One that
    /// cannot be read at the moment (the process has too many files open) says what it said before, and is tried again
    /// the next time. Costs one system call while nothing changes.
    pub fn read(&mut self, path: &Path, parse: impl FnOnce(&str) -> T) -> Arc<T> {
        let stamp = fs::metadata(path).ok().map(|metadata| stamp(&metadata));
        if let Some((seen, value)) = &self.seen
            && *seen == stamp
        {
            return value.clone();
        }
        let bytes = match contents(path) {
            Ok(bytes) => bytes,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => Vec::new(),
            Err(_) => return self.seen.as_ref().map_or_else(|| Arc::new(parse("")), |(_, value)| value.clone()),
        };
        let value = Arc::new(parse(&String::from_utf8_lossy(&bytes)));
        self.seen = Some((stamp, value.clone()));
        value
    }
}

fn contents(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn stamp(file: &Metadata) -> Stamp {
    let bits = |number: u64| number.cast_signed();
    [
        bits(file.dev()),
        bits(file.ino()),
        bits(file.size()),
        file.mtime(),
        file.mtime_nsec(),
        file.ctime(),
        file.ctime_nsec(),
    ]
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_file_is_read_again_only_when_it_has_changed() {
        let folder = std::env::temp_dir().join(format!("resilient-redis-followed-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("file");
        let reads = Cell::new(0);
        let mut followed = Followed::default();
        let mut read = || {
            let value = followed.read(&path, |text| {
                reads.set(reads.get() + 1);
                text.to_owned()
            });
            ((*value).clone(), reads.get())
        };
        assert_eq!(read(), (String::new(), 1), "not there");
        assert_eq!(read(), (String::new(), 1));
        fs::write(&path, "one").unwrap();
        assert_eq!(read(), ("one".to_owned(), 2));
        assert_eq!(read(), ("one".to_owned(), 2));
        fs::write(folder.join("new"), "two").unwrap();
        fs::rename(folder.join("new"), &path).unwrap();
        assert_eq!(read(), ("two".to_owned(), 3), "replaced, as network managers do");
        fs::remove_file(&path).unwrap();
        assert_eq!(read(), (String::new(), 4));
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn what_cannot_be_read_at_the_moment_says_what_it_said_before_and_is_tried_again() {
        let path = std::env::temp_dir().join(format!("resilient-redis-unreadable-{}", std::process::id()));
        let reads = Cell::new(0);
        let read = |followed: &mut Followed<String>| {
            let parse = |text: &str| {
                reads.set(reads.get() + 1);
                text.to_owned()
            };
            (*followed.read(&path, parse)).clone()
        };
        fs::write(&path, "one").unwrap();
        let mut followed = Followed::default();
        assert_eq!(read(&mut followed), "one");
        fs::remove_file(&path).unwrap();
        // A folder can be opened, and not read.
        fs::create_dir(&path).unwrap();
        assert_eq!((read(&mut followed), reads.get()), ("one".to_owned(), 1));
        let mut fresh = Followed::default();
        assert_eq!((read(&mut fresh), reads.get()), (String::new(), 2));
        assert_eq!((read(&mut fresh), reads.get()), (String::new(), 3), "not remembered");
        fs::remove_dir(&path).unwrap();
        assert_eq!((read(&mut followed), reads.get()), (String::new(), 4), "not there");
    }
}
