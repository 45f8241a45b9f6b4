//! The nodes among which Predis would share keys by itself: a list under `'cluster' => 'predis'`.

use super::address::Endpoint;
use super::defaults::Defaults;
use super::deployment::{Configuration, configure};
use super::error::ConfigurationError;
use super::node::NodeParameters;
use super::options::Options;
use super::predis;
use super::setting::Setting;

/// One node of such a list.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RingMember {
    /// What it is called where its points on the ring are computed: `host:port` as written, or the path of its socket.
    pub name: String,
    /// How many keys it gets, in relation to the others.
    pub weight: u32,
    /// The place of its endpoint: two members may be one server.
    pub endpoint: u16,
}

/// As many as a cluster is made for.
const MOST_NODES: usize = 1_000;
/// What Predis takes for the weight of a node that says none.
const USUAL_WEIGHT: u32 = 100;

/// The members of the ring that the nodes of the first argument may be; none if they cannot be one.
pub(super) fn members(
    nodes: &[(String, NodeParameters)],
    options: &Options,
    endpoints: &[Endpoint],
) -> Result<Vec<RingMember>, ConfigurationError> {
    if endpoints.len() < 2 || !options.cluster.as_ref().is_some_and(predis::is_ring) {
        return Ok(Vec::new());
    }
    if let Some(value) = &options.distributor {
        let accepted = "nothing (keys are placed as by the ring that Predis has where nothing else is said)";
        return Err(ConfigurationError::about("distributor", value, accepted));
    }
    let member = |(place, own): &(String, NodeParameters)| {
        let (node, scheme) = options.complete(own);
        let address = node.endpoint(place, scheme)?.address;
        let endpoint = endpoints.iter().position(|endpoint| endpoint.address == address);
        let Some(endpoint) = endpoint.filter(|place| *place < MOST_NODES).and_then(|place| u16::try_from(place).ok())
        else {
            return Err(ConfigurationError::new(
                place,
                "one node more",
                format!("a list of at most {MOST_NODES} nodes"),
            ));
        };
        Ok(RingMember { name: node.name(scheme), weight: node.weight.unwrap_or(USUAL_WEIGHT), endpoint })
    };
    nodes.iter().map(member).collect()
}

/// What holds for each endpoint of a ring: as if it were the only one, since each is a deployment by itself.
pub(super) fn apart(
    parameters: &Setting,
    options: &Setting,
    defaults: &Defaults,
) -> Result<Vec<Configuration>, ConfigurationError> {
    let mut apart: Vec<Configuration> = Vec::new();
    for node in parameters.items().into_iter().flatten() {
        let mut one = configure(node, options, defaults)?;
        one.reader = None;
        // Neither makes it another deployment than it is for who was given this node alone.
        one.endpoints.iter_mut().for_each(|endpoint| (endpoint.role, endpoint.alias) = (None, None));
        if apart.iter().all(|known| known.endpoints != one.endpoints) {
            apart.push(one);
        }
    }
    Ok(apart)
}
