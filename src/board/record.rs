//! One record: two pages of which one is published, and words that say whether there is anything to look at.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use super::pace::Pace;
use super::seal::Seal;

/// How many bytes can be published. A primary, replicas and histories take a few hundred; a map of slots may need
/// several records ([`Volume`](super::Volume)).
pub const ROOM: usize = WORDS * 8;
const WORDS: usize = 254;
/// A reader that is overtaken by writers this often goes on with what it knows.
const MOST_READS: usize = 4;
/// A writer takes microseconds. One that took longer was killed, or will find that it lost.
const WRITER_AGE: u64 = 100_000_000;

/// The stamp of a publication: from the top 40 bits of epoch (it counts changes of who is primary), 23 bits of edition
/// (it counts publications within an epoch), and the number of the page.
const EPOCH_SHIFT: u32 = 24;
const EDITION_STEP: u64 = 2;
const PAGE_BIT: u64 = 1;

/// What the workers know together of one deployment. All zero is a record that nobody has written to.
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub struct Record {
    /// The keyed hash under which it is found; zero while it is unused.
    pub(super) name: AtomicU64,
    /// Changes with everything that a worker must look at. Compared at every command, so it stands beside nothing that
    /// is written often.
    news: AtomicU32,
    /// Changes with everything that somebody who waits wants to know; a futex.
    bell: AtomicU32,
    stamp: AtomicU64,
    /// Since when somebody writes; zero if nobody does.
    writer: AtomicU64,
    pub(super) troubled_since: AtomicU64,
    pub(super) failed_at: AtomicU64,
    pub(super) opened_at: AtomicU64,
    pub(super) next_probe: AtomicU64,
    /// The questions to the primary for its replicas and what its answers give cause to, and the probes: apart from
    /// what every command compares.
    paces: Paces,
    /// The searcher's lease. It has a cache line of its own: its holder breathes into it.
    pub(super) lease: Lonely,
    pages: [Page; 2],
}

#[repr(C, align(64))]
#[derive(Debug, Default)]
pub(super) struct Lonely(pub AtomicU64);

#[repr(C, align(64))]
#[derive(Debug, Default)]
struct Paces {
    questions: Pace,
    looks: Pace,
    alarm: AtomicU64,
    probes: AtomicU64,
}

#[repr(C)]
#[derive(Debug)]
struct Page {
    checksum: AtomicU64,
    length: AtomicU64,
    words: [AtomicU64; WORDS],
}

impl Default for Page {
    fn default() -> Page {
        Page { checksum: AtomicU64::new(0), length: AtomicU64::new(0), words: [const { AtomicU64::new(0) }; WORDS] }
    }
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Which publication it is.
    pub stamp: u64,
    /// The bytes as they were given.
    pub bytes: Vec<u8>,
}

/// What became of a publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Publication {
    /// It stands there, under this stamp.
    Done(u64),
    /// Somebody else published since; what he says counts.
    Lost,
    /// Somebody is writing at this moment, or it is too long. What was found stays with the finder.
    Unheard,
}

/// A publication on its way, in steps of which any may be the last.
pub(super) struct Writing<'a> {
    record: &'a Record,
    claim: u64,
    before: u64,
    stamp: u64,
}

impl Record {
    /// Changes whenever there is something to look at.
    #[inline]
    pub fn news(&self) -> u32 {
        self.news.load(Ordering::Acquire)
    }

    /// The pace at which a primary is asked for its replicas.
    pub fn questions(&self) -> &Pace {
        &self.paces.questions
    }

    /// When somebody saw last that the primary has lost replicas, in nanoseconds; zero if nobody did. Who saw it may not
    /// write again for a while.
    pub fn alarm(&self) -> u64 {
        self.paces.alarm.load(Ordering::Acquire)
    }

    /// Tells the others that the primary has lost replicas.
    pub fn raise_alarm(&self, now: u64) {
        self.paces.alarm.store(now, Ordering::Release);
    }

    /// The pace at which one looks around for a promoted node.
    pub fn looks(&self) -> &Pace {
        &self.paces.looks
    }

    /// Counts the probes while the breaker is open.
    pub(super) fn count_probe(&self) -> u64 {
        self.paces.probes.fetch_add(1, Ordering::Relaxed)
    }

    /// The word that waiters sleep on.
    pub fn bell(&self) -> &AtomicU32 {
        &self.bell
    }

    /// The stamp of what is published; zero while nothing is.
    pub fn stamp(&self) -> u64 {
        self.stamp.load(Ordering::Acquire)
    }

    pub(super) fn read(&self, seal: &Seal) -> Option<Published> {
        for _ in 0..MOST_READS {
            let stamp = self.stamp.load(Ordering::Acquire);
            if stamp == 0 {
                return None;
            }
            let page = &self.pages[usize::from(stamp & PAGE_BIT != 0)];
            let length = usize::try_from(page.length.load(Ordering::Relaxed)).ok().filter(|length| *length <= ROOM);
            let words = &page.words[..length.unwrap_or(0).div_ceil(8)];
            let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes()).collect();
            bytes.truncate(length.unwrap_or(0));
            let checksum = page.checksum.load(Ordering::Relaxed);
            fence(Ordering::Acquire);
            if self.stamp.load(Ordering::Relaxed) == stamp {
                let whole = length.is_some() && seal.checksum(stamp, &bytes) == checksum;
                return whole.then_some(Published { stamp, bytes });
            }
        }
        None
    }

    pub(super) fn publish(&self, seal: &Seal, based_on: u64, renewed: bool, bytes: &[u8], now: u64) -> Publication {
        if bytes.len() > ROOM {
            return Publication::Unheard;
        }
        match self.begin(based_on, renewed, now) {
            Ok(writing) => {
                writing.fill(seal, bytes);
                writing.commit()
            }
            Err(publication) => publication,
        }
    }

    /// Claims the page that is not published.
    pub(super) fn begin(&self, based_on: u64, renewed: bool, now: u64) -> Result<Writing<'_>, Publication> {
        let claim = now | 1;
        let other = self.writer.load(Ordering::Acquire);
        if other != 0 && now.saturating_sub(other) < WRITER_AGE {
            return Err(Publication::Unheard);
        }
        if self.writer.compare_exchange(other, claim, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            return Err(Publication::Unheard);
        }
        let before = self.stamp.load(Ordering::Acquire);
        let epoch = before >> EPOCH_SHIFT;
        let mut writing = Writing { record: self, claim, before, stamp: 0 };
        if epoch != based_on >> EPOCH_SHIFT {
            writing.let_go();
            return Err(Publication::Lost);
        }
        let page = !before & PAGE_BIT;
        writing.stamp = if renewed {
            (epoch + 1) << EPOCH_SHIFT | page
        } else {
            let edition = (before & ((1 << EPOCH_SHIFT) - 1) & !PAGE_BIT) + EDITION_STEP;
            epoch << EPOCH_SHIFT | (edition & ((1 << EPOCH_SHIFT) - 1)) | page
        };
        Ok(writing)
    }

    /// Tells everybody that there is something to look at.
    pub(super) fn tell(&self) {
        self.news.fetch_add(1, Ordering::Release);
        self.ring(u32::MAX);
    }

    /// Wakes those who wait, `count` of them at the most.
    pub(super) fn ring(&self, count: u32) {
        self.bell.fetch_add(1, Ordering::Release);
        let count = count.min(i32::MAX.unsigned_abs());
        // Nobody may be asleep there; then there is nobody to wake.
        let _ = rustix::thread::futex::wake(&self.bell, rustix::thread::futex::Flags::empty(), count);
    }
}

impl Writing<'_> {
    /// Writes into the page that nobody reads.
    pub(super) fn fill(&self, seal: &Seal, bytes: &[u8]) {
        let page = &self.record.pages[usize::from(self.stamp & PAGE_BIT != 0)];
        for (word, chunk) in page.words.iter().zip(bytes.chunks(8)) {
            let mut eight = [0; 8];
            eight[..chunk.len()].copy_from_slice(chunk);
            word.store(u64::from_le_bytes(eight), Ordering::Relaxed);
        }
        page.length.store(bytes.len() as u64, Ordering::Relaxed);
        page.checksum.store(seal.checksum(self.stamp, bytes), Ordering::Relaxed);
    }

    /// Makes it what readers see, unless somebody else was faster.
    pub(super) fn commit(self) -> Publication {
        let stamp = &self.record.stamp;
        let published = stamp.compare_exchange(self.before, self.stamp, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        self.let_go();
        if !published {
            return Publication::Lost;
        }
        self.record.tell();
        Publication::Done(self.stamp)
    }

    fn let_go(&self) {
        // Somebody may have taken it over meanwhile.
        let _ = self.record.writer.compare_exchange(self.claim, 0, Ordering::AcqRel, Ordering::Relaxed);
    }
}
