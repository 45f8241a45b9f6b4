//! The replies to a batch as one list. An item that is sent again takes its place again.

use std::ptr;

use ext_php_rs::ffi::{_zend_new_array, zend_hash_index_del, zend_hash_index_find, zend_hash_next_index_insert};

use crate::client::{Batch, Replies};
use crate::command::Shape;
use crate::resp::Unfit;

use super::super::memory;
use super::super::zend::{self, Value};
use super::{Building, Filling, MOST_FORESEEN, Open, PhpSink, make_over};

/// Where a sink of many replies is. For one reply all of it is empty.
#[derive(Clone, Copy)]
pub struct Course {
    /// The batch.
    pub(super) batch: *const Batch,
    /// How many arrays are open around a reply.
    pub(super) level: usize,
    /// The place of the batch's first reply, and of the next one.
    pub(super) first: usize,
    pub(super) place: usize,
    /// If the next reply is that of EXEC: the first command that it executes.
    pub(super) executes: Option<usize>,
    /// Whether replies stand side by side, or each replaces the one before.
    pub(super) kept: bool,
    /// Whether a reply, or an element of one, is an error.
    pub(super) has_errors: bool,
}

/// Where a sink of a batch was left.
#[derive(Clone, Copy)]
pub struct Former {
    first: usize,
    has_errors: bool,
}

pub const ONE_REPLY: Course =
    Course { batch: ptr::null(), level: 0, first: 0, place: 0, executes: None, kept: true, has_errors: false };

impl<'a> PhpSink<'a> {
    /// A sink that builds the replies to a batch behind those that `root` has already, or goes on where a former one of
    /// the batch was. If they are not kept, only their last one stands there.
    ///
    /// # Safety
    /// As for [`PhpSink::new`], but `root` may hold a list that is nobody else's; the batch stays as it is meanwhile.
    pub unsafe fn of_batch(
        building: &'a mut Building,
        root: *mut Value,
        batch: &Batch,
        kept: bool,
        former: Option<Former>,
    ) -> PhpSink<'a> {
        // SAFETY: by the caller. A new array stands in the root before anything else happens.
        unsafe {
            if zend::type_of(&*root) != zend::IS_ARRAY {
                let foreseen = if kept { batch.len().min(MOST_FORESEEN) } else { 1 };
                root.write(zend::owned_array(_zend_new_array(u32::try_from(foreseen).unwrap_or(u32::MAX))));
            }
            let array = (*root).value.arr;
            let first = if kept { (*array).nNumOfElements as usize } else { 0 };
            let Former { first, has_errors } = former.unwrap_or(Former { first, has_errors: false });
            let mut sink = PhpSink::new(building, root, Shape::Plain);
            sink.course = Course { batch, level: 1, first, place: first, kept, has_errors, ..ONE_REPLY };
            sink.building.open.push(Open { array, filling: Filling::Places, key: zend::null(), has_key: false });
            sink
        }
    }

    /// Where another sink goes on if this one is left between two replies.
    pub fn former(&self) -> Former {
        Former { first: self.course.first, has_errors: self.course.has_errors }
    }

    /// How many replies stood there before those of the batch.
    pub fn earlier(&self) -> usize {
        self.course.first
    }

    /// Whether a reply, or an element of one, is an error of the server.
    pub fn has_errors(&self) -> bool {
        self.course.has_errors
    }

    /// The shape of the reply that a value which begins now belongs to, and how many of its arrays are open.
    #[inline]
    pub(super) fn shape_here(&self) -> (Shape, usize) {
        let depth = self.building.open.len() - self.course.level;
        match self.course.executes {
            // The elements of EXEC's reply are the replies to the commands before it.
            Some(first) if depth > 0 => {
                let level = self.course.level;
                // SAFETY: `of_batch` promised the batch; EXEC's array is open, or was empty and has none.
                unsafe {
                    let elements = self.building.open[level].array.as_ref().map_or(0, |array| array.nNumOfElements);
                    // An array stands in the one around it from the start.
                    let index = first + (elements as usize).saturating_sub(usize::from(depth > 1));
                    let batch = &*self.course.batch;
                    let shape = if index < batch.len() { batch.shape(index) } else { Shape::Plain };
                    (shape, depth - 1)
                }
            }
            _ => (self.shape, depth),
        }
    }

    /// The exchange is over: replies that are made over when they are complete are complete now, and PHP code may run.
    pub fn close_batch(&mut self) {
        // SAFETY: `of_batch` promised the batch.
        let batch = unsafe { &*self.course.batch };
        if batch.is_made_over() && self.course.kept {
            self.drop_open();
            for index in 0..batch.len() {
                self.make_over(batch, index);
            }
        }
    }

    fn make_over(&self, batch: &Batch, index: usize) {
        let (shape, executes) = (batch.shape(index), batch.executes_from(index));
        if !shape.is_made_over() && executes.is_none() {
            return;
        }
        // SAFETY: the root holds the list that `of_batch` saw, which nobody else has, and so do the lists in it.
        unsafe {
            let reply = zend_hash_index_find((*self.root).value.arr, self.place_of(index)).cast::<Value>();
            let Some(reply) = reply.as_mut() else { return };
            let Some(first) = executes else { return make_over(shape, reply) };
            if zend::type_of(reply) != zend::IS_ARRAY {
                return;
            }
            for executed in first..index {
                let place = (executed - first) as u64;
                if let Some(element) = zend_hash_index_find(reply.value.arr, place).cast::<Value>().as_mut() {
                    make_over(batch.shape(executed), element);
                }
            }
        }
    }

    fn place_of(&self, index: usize) -> u64 {
        if self.course.kept { (self.course.first + index) as u64 } else { 0 }
    }
}

impl Replies for PhpSink<'_> {
    fn prepare(&mut self, count: usize) {
        if !self.course.kept {
            return;
        }
        self.drop_open();
        // Elements of a list stand in the order in which they came, so each has a place before the first one comes.
        // SAFETY: the root holds the list that `of_batch` saw, which nobody else has.
        unsafe {
            let array = (*self.root).value.arr;
            while (*array).nNextFreeElement.max(0).cast_unsigned() < (self.course.first + count) as u64 {
                if self.refusal.is_some() || !memory::make_room(array) {
                    self.refusal = self.refusal.or(Some(Unfit::NoMemory));
                    return;
                }
                zend_hash_next_index_insert(array, zend::null().as_zval());
            }
        }
    }

    #[inline]
    fn expect(&mut self, index: usize) {
        if self.building.open.len() != self.course.level || self.building.begun.is_some() {
            self.drop_open();
        }
        if self.course.kept {
            self.course.place = self.course.first + index;
        }
        // SAFETY: `of_batch` promised the batch.
        let batch = unsafe { &*self.course.batch };
        self.shape = batch.shape(index);
        self.course.executes = batch.executes_from(index);
    }

    fn refuse(&mut self, index: usize, text: &[u8]) {
        if self.refusal.is_some() || !self.course.kept {
            return;
        }
        self.drop_open();
        let next = std::mem::replace(&mut self.course.place, self.course.first + index);
        let error = self.error_value(text);
        self.put(error);
        self.course.place = next;
    }

    fn rewind(&mut self, index: usize) {
        self.drop_open();
        // SAFETY: the root holds the list that `of_batch` saw; its elements are released from the end.
        unsafe {
            let array = (*self.root).value.arr;
            let from = self.place_of(index);
            let end = (*array).nNextFreeElement.max(0).cast_unsigned();
            for place in (from..end).rev() {
                zend_hash_index_del(array, place);
            }
        }
    }

    fn forget(&mut self, index: usize) {
        self.drop_open();
        // SAFETY: as in `rewind`.
        unsafe { zend_hash_index_del((*self.root).value.arr, self.place_of(index)) };
    }
}
