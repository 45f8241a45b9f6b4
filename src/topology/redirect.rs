//! Where a node sends those who ask it for what it does not have.

use crate::command::SLOTS;
use crate::config::NodeAddress;

use super::Speaker;

/// Where a node says that a slot is: `MOVED` for good, `ASK` for this command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// Whether it is for good.
    pub moved: bool,
    /// The slot.
    pub slot: u16,
    /// The node.
    pub to: NodeAddress,
}

impl Redirect {
    /// Reads the error `MOVED slot host:port` or `ASK slot host:port` of the node `asked`; `None` if it is another one, or
    /// leads nowhere.
    pub fn read(text: &str, asked: &Speaker) -> Option<Redirect> {
        let mut words = text.split(' ');
        let moved = match words.next()? {
            "MOVED" => true,
            "ASK" => false,
            _ => return None,
        };
        let slot = words.next()?.parse().ok().filter(|slot| usize::from(*slot) < SLOTS)?;
        let (host, port) = words.next()?.rsplit_once(':')?;
        Some(Redirect { moved, slot, to: asked.names(host, port.parse().ok()?)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> NodeAddress {
        NodeAddress::tcp("10.0.0.1", port)
    }

    #[test]
    fn redirects_are_read_and_errors_of_another_kind_are_none() {
        let asked = Speaker::plain(at(9));
        let read = |text: &str| Redirect::read(text, &asked);
        let to = |moved, slot, to| Some(Redirect { moved, slot, to });
        assert_eq!(read("MOVED 3999 127.0.0.1:6381"), to(true, 3999, NodeAddress::tcp("127.0.0.1", 6381)));
        assert_eq!(read("ASK 1 :6381"), to(false, 1, at(6381)));
        assert_eq!(read("MOVED 1 ::1:6381"), to(true, 1, NodeAddress::tcp("::1", 6381)));
        for text in
            ["ERR no", "MOVED", "MOVED 1", "MOVED 16384 h:1", "MOVED x h:1", "MOVED 1 h", "MOVED 1 ?:1", "ASK 1 h:0"]
        {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
