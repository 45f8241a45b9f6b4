//! What belongs to the process and to its threads: the world, and each thread's desk.

use std::cell::UnsafeCell;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::{Arc, Once};

use once_cell::sync::{Lazy, OnceCell};

use crate::board::Board;
use crate::client::{Desk, World};
use crate::connection::{SystemNetwork, current_generation, forked};
use crate::pool::Registry;
use crate::time::SystemClock;

use super::replies::Building;
use super::{ini, units};

static BOARD: OnceCell<Arc<Board>> = OnceCell::new();

/// Makes the board that the children of this process share, while the module starts: before the master forks. What is
/// wrong in php.ini is told when a client is made; until then nothing is shared.
pub fn set_up_board() {
    BOARD.get_or_init(|| {
        let shared = ini::board().ok().filter(|settings| settings.shared && !ini::is_command_line());
        // Without that memory everybody learns for himself.
        let board = shared.and_then(|settings| Board::shared(settings.size).ok());
        Arc::new(board.unwrap_or_else(Board::alone))
    });
}

/// Claims this user's part of the board: before each request, so before any code of the user runs in this process.
pub fn claim_board() {
    if let Some(board) = BOARD.get() {
        board.claim(|| rustix::process::geteuid().as_raw(), current_generation());
    }
}

static WORLD: Lazy<Arc<World>> = Lazy::new(|| {
    Arc::new(World {
        network: Box::new(SystemNetwork { unacknowledged: Some(unacknowledged), ..SystemNetwork::default() }),
        clock: Box::new(SystemClock),
        registry: Registry::new(BOARD.get_or_init(|| Arc::new(Board::alone())).clone()),
        is_ending,
        is_over,
        is_interrupted,
    })
});

/// What a TCP socket has sent and its peer has not acknowledged (`SIOCOUTQ`).
fn unacknowledged(socket: BorrowedFd<'_>) -> Option<usize> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the descriptor is open while it is borrowed; for a socket the request writes one int.
    let answered = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    (answered == 0).then(|| usize::try_from(bytes).ok())?
}

/// Whether PHP has begun to end the request: shutdown functions, destructors, and modules that write what they kept,
/// such as sessions; or that a unit of work is about to end.
fn is_ending() -> bool {
    is_over() || units::is_ending()
}

/// Whether PHP has begun to end the request.
pub fn is_over() -> bool {
    /// `EG_FLAGS_IN_SHUTDOWN`
    const IN_SHUTDOWN: u8 = 1;
    // SAFETY: the executor's globals exist for as long as PHP runs; a byte of them is read.
    unsafe { (*ext_php_rs::ffi::ext_php_rs_executor_globals()).flags & IN_SHUTDOWN != 0 }
}

/// Whether PHP wants to run something between two opcodes: the handler of a signal, or the end of a program that took
/// too long.
fn is_interrupted() -> bool {
    // SAFETY: the executor's globals exist for as long as PHP runs; a byte of them is read, which the handler of a
    // signal may write.
    unsafe { (&raw const (*ext_php_rs::ffi::ext_php_rs_executor_globals()).vm_interrupt.value).read_volatile() }
}

/// The network, the clock and the connections of this process.
pub fn world() -> &'static Arc<World> {
    &WORLD
}

/// What a thread has in hand. It is reached by raw pointer, since a jump out of PHP would leave any guard locked.
#[derive(Default)]
pub struct Hands {
    /// The command on its way.
    pub desk: Desk,
    /// The reply under construction.
    pub building: Building,
}

thread_local! {
    static HANDS: UnsafeCell<Hands> = UnsafeCell::default();
}

/// This thread's hands.
///
/// # Safety
/// No other reference to them is used while this one is: so it is taken anew by each entry from PHP, and not used
/// again after a call into PHP code (a `__toString`, a listener) which may have entered here itself.
#[inline]
pub unsafe fn hands<'a>() -> &'a mut Hands {
    // SAFETY: by the caller. The memory lives as long as the thread, and only this thread reaches it.
    HANDS.with(|hands| unsafe { &mut *hands.get() })
}

/// Has every child of a fork count itself as a new process (P8). Once, however often the module starts.
pub fn watch_forks() {
    extern "C" fn child() {
        forked();
    }
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the handler only adds to an atomic number, which is allowed in the child of any fork. It stays
        // valid: the library is not unloaded before the process ends.
        let installed = unsafe { libc::pthread_atfork(None, None, Some(child)) };
        assert_eq!(installed, 0, "pthread_atfork fails only without memory");
    });
}
