//! Knowledge of a deployment, without I/O: who is primary, who are its replicas, and whom to believe.
//!
//! What nodes say of themselves comes in as [`Report`]s, gathered by the rooms above; what comes out are addresses
//! and judgements. May use `command`, `resp`, `config` and `time`.

mod election;
mod knowledge;
mod notice;
mod ownership;
mod redirect;
mod report;
mod ring;
mod slots;
mod slots_told;
mod speaker;
mod standing;
mod watch;

pub use election::{Claim, Witness, elect};
pub use knowledge::{Change, Knowledge};
pub use notice::{Evidence, Notice};
pub use ownership::{Ownership, SlotSet};
pub use redirect::Redirect;
pub use report::{Lineage, MAX_REPLICAS, Mode, Report, Role};
pub use ring::Ring;
pub use slots::{Shard, SlotMap};
pub use speaker::Speaker;
pub use standing::Standing;
pub use watch::{Watch, Watched};
