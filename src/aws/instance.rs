//! Keys of an EC2 instance's role, from its metadata service. Version 2 only: version 1 gives keys to whoever can make
//! the instance send a request.

use crate::time::{Clock, Deadline};

use super::Keys;
use super::container::lent;
use super::environment::Environment;
use super::error::Fault;
use super::http::{Request, Url};
use super::reply::Reply;

const IPV4: &str = "http://169.254.169.254";
const IPV6: &str = "http://[fd00:ec2::254]";

/// For how many seconds the session is asked for: three requests come of it.
const SESSION: &str = "60";

const ROLES: &str = "/latest/meta-data/iam/security-credentials/";

/// Where this process is to ask.
pub fn endpoint(environment: &dyn Environment) -> Result<Url, Fault> {
    if environment.get("AWS_EC2_METADATA_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return Err(Fault::Absent("AWS_EC2_METADATA_DISABLED is true".to_owned()));
    }
    let mode = environment.get("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE");
    let usual = if mode.is_some_and(|mode| mode.eq_ignore_ascii_case("ipv6")) { IPV6 } else { IPV4 };
    let text = environment.get("AWS_EC2_METADATA_SERVICE_ENDPOINT").unwrap_or_else(|| usual.to_owned());
    Url::parse(&text).map_err(|why| Fault::Wrong(format!("AWS_EC2_METADATA_SERVICE_ENDPOINT: {why}")))
}

/// Asks there: for a session, the role's name, its keys.
pub fn ask(url: &Url, clock: &dyn Clock, deadline: Deadline) -> Result<Keys, Fault> {
    let wish = [("X-aws-ec2-metadata-token-ttl-seconds", SESSION)];
    let request = Request { method: "PUT", url, path: "/latest/api/token", headers: &wish };
    let session = request.exchange(clock, deadline).map_err(|fault| match fault {
        // The answer is sent with a small hop limit, and does not come through the network of a container.
        Fault::Failed(why) if why.ends_with("gives no reply: the time is over") => {
            Fault::Failed(format!("{why}; for a container the instance's metadata needs a hop limit of 2"))
        }
        fault => fault,
    })?;
    let session = plain(&session).ok_or_else(|| not_as_asked(url, "a session", &session))?;
    let shown = [("X-aws-ec2-metadata-token", session)];
    let get = |path: &str| Request { method: "GET", url, path, headers: &shown }.exchange(clock, deadline);
    let role = get(ROLES)?;
    if role.status == 404 {
        return Err(Fault::Wrong(format!("{}: the instance has no role", url.shown())));
    }
    let name =
        plain(&role).filter(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+=,.@-_".contains(&byte)));
    let name = name.ok_or_else(|| not_as_asked(url, "the role's name", &role))?;
    let answer = get(&format!("{ROLES}{name}"))?;
    let keys = if answer.status == 200 { lent(&answer.body) } else { None };
    keys.ok_or_else(|| not_as_asked(url, "keys", &answer))
}

/// The one line of a good answer.
fn plain(reply: &Reply) -> Option<&str> {
    let line = reply.body.trim();
    let fits = reply.status == 200 && !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then_some(line)
}

fn not_as_asked(url: &Url, what: &str, reply: &Reply) -> Fault {
    Fault::Failed(format!(
        "{} was asked for {what} and answers something else, with status {}",
        url.shown(),
        reply.status
    ))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;
    use std::time::Duration;

    use crate::aws::local_server::{self, LocalServer};
    use crate::time::{FakeClock, SystemClock};

    use super::*;

    fn asked(server: &LocalServer) -> Result<Keys, Fault> {
        let url = server.url();
        let url = endpoint(&HashMap::from([("AWS_EC2_METADATA_SERVICE_ENDPOINT", url.as_str())]))?;
        ask(&url, &SystemClock, Deadline::after(SystemClock.now(), Some(Duration::from_secs(5))))
    }

    /// A metadata service with a role that may be named otherwise.
    fn service(role: &'static str) -> LocalServer {
        LocalServer::answering(move |request| {
            let shown = request.contains("\r\nX-aws-ec2-metadata-token: session==\r\n");
            match request.split(" HTTP/").next().unwrap() {
                "PUT /latest/api/token" if request.contains("token-ttl-seconds: 60\r\n") => {
                    local_server::reply(200, "session==")
                }
                "GET /latest/meta-data/iam/security-credentials/" if shown => local_server::reply(200, role),
                "GET /latest/meta-data/iam/security-credentials/my-role" if shown => {
                    local_server::lent("ASIA", "2026-03-01T12:00:00Z")
                }
                _ => local_server::reply(401, ""),
            }
        })
    }

    #[test]
    fn keys_are_those_of_the_instances_role() {
        let server = service("my-role\n");
        let keys = asked(&server).unwrap();
        assert_eq!((keys.id.as_str(), keys.secret.expose()), ("ASIA", "hidden"));
        assert_eq!(server.asked().len(), 3);
    }

    #[test]
    fn a_role_whose_name_is_none_is_not_asked_for() {
        for role in ["../../user-data", "a role", "a\nb", ""] {
            let server = service(role);
            let fault = asked(&server).unwrap_err();
            assert!(matches!(&fault, Fault::Failed(why) if why.contains("the role's name")), "{fault:?}");
            assert_eq!(server.asked().len(), 2);
        }
    }

    #[test]
    fn an_instance_without_a_role_and_a_service_without_sessions_are_told_apart() {
        let roleless = LocalServer::answering(|request| {
            if request.starts_with("PUT") { local_server::reply(200, "s") } else { local_server::reply(404, "<html>") }
        });
        let fault = asked(&roleless).unwrap_err();
        assert!(matches!(&fault, Fault::Wrong(why) if why.ends_with("has no role")), "{fault:?}");
        let version_1 = LocalServer::answering(|_| local_server::reply(403, ""));
        let fault = asked(&version_1).unwrap_err();
        assert!(matches!(&fault, Fault::Failed(why) if why.contains("a session") && why.ends_with("403")), "{fault:?}");
        assert_eq!(version_1.asked().len(), 1, "nothing is asked without a session");
    }

    #[test]
    fn a_session_that_does_not_come_is_explained() {
        let server = LocalServer::silent();
        let clock = Arc::new(FakeClock::default());
        let deadline = Deadline::after(clock.now(), Some(Duration::from_millis(20)));
        let fault = ask(&Url::parse(&server.url()).unwrap(), &clock, deadline).unwrap_err();
        assert!(matches!(&fault, Fault::Failed(why) if why.ends_with("a hop limit of 2")), "{fault:?}");
    }

    #[test]
    fn the_environment_says_where_the_service_is_and_whether_it_is_asked() {
        let place = |name, value| endpoint(&HashMap::from([(name, value)])).map(|url| url.text);
        assert_eq!(endpoint(&HashMap::new()).unwrap().text, IPV4);
        assert_eq!(place("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv6").unwrap(), IPV6);
        assert_eq!(place("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1/").unwrap(), "http://127.0.0.1:1/");
        assert!(matches!(place("AWS_EC2_METADATA_DISABLED", "TRUE"), Err(Fault::Absent(_))));
        assert!(place("AWS_EC2_METADATA_DISABLED", "false").is_ok());
        assert!(matches!(place("AWS_EC2_METADATA_SERVICE_ENDPOINT", "https://x"), Err(Fault::Wrong(_))));
    }
}
