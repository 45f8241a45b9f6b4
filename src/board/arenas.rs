//! The mapping and its arenas: one per user, claimed once, the others unmapped.

use std::io;
use std::mem::{align_of, size_of};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

use super::record::Record;

/// The whole mapping, before anything is claimed.
#[derive(Debug)]
pub struct Arenas {
    base: NonNull<u8>,
    /// Bytes of one arena, a multiple of the page size.
    each: usize,
    count: usize,
}

/// The arena of one user: a header, and records.
#[derive(Debug)]
pub struct Arena {
    base: NonNull<u8>,
    length: usize,
    hidden: AtomicBool,
}

/// What stands at the beginning of an arena.
#[repr(C, align(64))]
struct Header {
    /// The user's id plus one; zero while nobody has claimed it.
    owner: AtomicU64,
}

// SAFETY: the mapping belongs to the process, not to a thread, and everything in it is atomic.
unsafe impl Send for Arenas {}
// SAFETY: as above.
unsafe impl Send for Arena {}
// SAFETY: as above.
unsafe impl Sync for Arena {}

impl Arenas {
    /// Maps `count` arenas in `size` bytes of anonymous shared memory, all zero.
    pub fn map(size: usize, count: usize) -> io::Result<Arenas> {
        let page = rustix::param::page_size();
        let each = size / count / page * page;
        if each < size_of::<Header>() + size_of::<Record>() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "too small for one record per arena"));
        }
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at a place of the kernel's choice touches no memory that is in use.
        let base = unsafe { mmap_anonymous(std::ptr::null_mut(), each * count, access, MapFlags::SHARED) }?;
        let base = NonNull::new(base.cast::<u8>()).ok_or_else(|| io::Error::other("mapped at zero"))?;
        Ok(Arenas { base, each, count })
    }

    /// The arena of user `uid`; the others are unmapped. `None` if all belong to others: then everything is unmapped.
    pub fn claim(self, uid: u32) -> Option<Arena> {
        let me = u64::from(uid) + 1;
        // Arenas are taken in order and never given back, so two workers of one user cannot end in two of them.
        let mine = (0..self.count).find(|index| {
            match self.header(*index).owner.compare_exchange(0, me, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => true,
                Err(owner) => owner == me,
            }
        });
        for index in (0..self.count).filter(|index| Some(*index) != mine) {
            // SAFETY: this arena is a range of whole pages of our mapping; `self` ends here and no reference into
            // the range is left. A range that cannot be unmapped stays, which no caller could mend.
            let _ = unsafe { munmap(self.at(index).as_ptr().cast(), self.each) };
        }
        mine.map(|index| Arena { base: self.at(index), length: self.each, hidden: AtomicBool::new(false) })
    }

    /// The addresses of the mapping.
    #[cfg(test)]
    pub fn range(&self) -> std::ops::Range<usize> {
        let start = self.base.as_ptr() as usize;
        start..start + self.each * self.count
    }

    fn at(&self, index: usize) -> NonNull<u8> {
        // SAFETY: the index is below the count, so the result is within the mapping.
        unsafe { self.base.add(index * self.each) }
    }

    fn header(&self, index: usize) -> &Header {
        // SAFETY: an arena begins with a header, at the beginning of a page; zero is a valid one. The reference lives
        // no longer than `self`, which keeps the mapping.
        unsafe { self.at(index).cast::<Header>().as_ref() }
    }
}

impl Arena {
    /// The record of that name: the one that is there, or an unused one. `None` if the arena is full.
    pub fn record(&self, name: u64) -> Option<&'static Record> {
        (0..self.room()).map(|index| self.at(index)).find(|record| {
            match record.name.compare_exchange(0, name, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => true,
                Err(known) => known == name,
            }
        })
    }

    /// The record of that name, if one is in use.
    pub fn known_record(&self, name: u64) -> Option<&'static Record> {
        // They are taken in order.
        let mut named = (0..self.room()).map(|index| (self.at(index), self.at(index).name.load(Ordering::Acquire)));
        named
            .find(|(_, known)| *known == name || *known == 0)
            .filter(|(_, known)| *known == name)
            .map(|(record, _)| record)
    }

    /// How many records it can hold.
    pub fn room(&self) -> usize {
        (self.length - size_of::<Header>()) / size_of::<Record>()
    }

    /// How many records are in use.
    pub fn used(&self) -> usize {
        (0..self.room()).filter(|index| self.at(*index).name.load(Ordering::Relaxed) != 0).count()
    }

    /// Whether other processes see it.
    pub fn is_shared(&self) -> bool {
        !self.hidden.load(Ordering::Relaxed)
    }

    /// Puts memory of this process's own in the place of the shared one: records in use become empty ones.
    pub fn hide(&self) {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        let place = MapFlags::PRIVATE | MapFlags::FIXED;
        // SAFETY: the range is ours. What is there is replaced as a whole by zeroes, and records of zeroes are valid:
        // references to them stay good, and everything in them is atomic.
        let hidden = unsafe { mmap_anonymous(self.base.as_ptr().cast(), self.length, access, place) };
        assert!(hidden.is_ok(), "the memory of another user cannot be let go: {hidden:?}");
        self.hidden.store(true, Ordering::Relaxed);
    }

    fn at(&self, index: usize) -> &'static Record {
        const { assert!(size_of::<Header>().is_multiple_of(align_of::<Record>())) };
        debug_assert!(index < self.room());
        // SAFETY: the index is within the room, so the record lies within the arena and is aligned as the header is.
        // Every pattern of bytes is a valid record. The mapping is never unmapped once it is claimed.
        unsafe { self.base.add(size_of::<Header>()).cast::<Record>().add(index).as_ref() }
    }
}
