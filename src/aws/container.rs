//! Keys of a container: ECS and EKS tell it by its environment where to ask.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config::Secret;
use crate::time::{Clock, Deadline, Wall};

use super::Keys;
use super::environment::Environment;
use super::error::Fault;
use super::http::{Host, Request, Url};
use super::json;

/// Where ECS answers.
const ECS: Ipv4Addr = Ipv4Addr::new(169, 254, 170, 2);

/// Where the agent of EKS' Pod Identity answers.
const EKS: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)), IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23))];

/// Where this process is to ask.
pub fn endpoint(environment: &dyn Environment) -> Result<Url, Fault> {
    let relative = environment.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    let full = environment.get("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    let (name, text) = match (relative, full) {
        (Some(path), _) if !path.starts_with('/') => {
            return Err(Fault::Wrong("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI does not begin with /".to_owned()));
        }
        (Some(path), _) => ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", format!("http://{ECS}{path}")),
        (None, Some(text)) => ("AWS_CONTAINER_CREDENTIALS_FULL_URI", text),
        (None, None) => {
            let why = "neither AWS_CONTAINER_CREDENTIALS_RELATIVE_URI nor AWS_CONTAINER_CREDENTIALS_FULL_URI is set";
            return Err(Fault::Absent(why.to_owned()));
        }
    };
    let url = Url::parse(&text).map_err(|why| Fault::Wrong(format!("{name}: {why}")))?;
    let near = match url.host {
        Host::Localhost => true,
        Host::Address(address) => address.is_loopback() || address == IpAddr::V4(ECS) || EKS.contains(&address),
    };
    if !near {
        // Whoever can set a variable must not have keys, and the token that fetches them, sent anywhere.
        let why = "only this machine and the endpoints of ECS and EKS are asked";
        return Err(Fault::Wrong(format!("{name}: {why}")));
    }
    Ok(url)
}

/// Asks there.
pub fn ask(environment: &dyn Environment, url: &Url, clock: &dyn Clock, deadline: Deadline) -> Result<Keys, Fault> {
    let authorization = authorization(environment)?;
    let headers: Vec<_> = authorization.iter().map(|token| ("Authorization", token.expose())).collect();
    let reply = Request { method: "GET", url, path: "", headers: &headers }.exchange(clock, deadline)?;
    if reply.status != 200 {
        return Err(Fault::Failed(format!("{} answers with status {}", url.shown(), reply.status)));
    }
    lent(&reply.body).ok_or_else(|| Fault::Failed(format!("{} answers with something else than keys", url.shown())))
}

/// What lets this container ask. A file is read each time: it is renewed while the container runs.
fn authorization(environment: &dyn Environment) -> Result<Option<Secret>, Fault> {
    let token = match environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|error| {
                Fault::Failed(format!("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE cannot be read: {error}"))
            })?;
            Some(text.trim_end().to_owned())
        }
        None => environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN"),
    };
    match token {
        Some(token) if token.contains(|c: char| c.is_control() || !c.is_ascii()) => {
            Err(Fault::Wrong("the authorization token cannot be sent in a header".to_owned()))
        }
        token => Ok(token.map(Secret::new)),
    }
}

/// The keys in an answer of either endpoint.
pub fn lent(body: &str) -> Option<Keys> {
    let members = json::strings(body)?;
    let of = |name: &str| {
        let found = members.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone()).filter(|value| !value.is_empty())
    };
    if of("Code").is_some_and(|code| code != "Success") {
        return None;
    }
    let expires = match of("Expiration") {
        Some(text) => Some(Wall::parse(&text)?),
        None => None,
    };
    let secret = Secret::new(of("SecretAccessKey")?);
    Some(Keys { id: of("AccessKeyId")?, secret, session: of("Token").map(Secret::new), expires })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::Duration;

    use crate::aws::local_server::{self, LocalServer};
    use crate::time::SystemClock;

    use super::*;

    fn asked(variables: &[(&str, &str)]) -> Result<Keys, Fault> {
        let environment: HashMap<&str, &str> = variables.iter().copied().collect();
        let deadline = Deadline::after(SystemClock.now(), Some(Duration::from_secs(5)));
        ask(&environment, &endpoint(&environment)?, &SystemClock, deadline)
    }

    #[test]
    fn keys_are_lent_to_who_shows_the_authorization_token() {
        let server = LocalServer::answering(|request| {
            let may = request.contains("\r\nAuthorization: Bearer abc\r\n");
            if may { local_server::lent("ASIA", "2026-03-01T12:00:00Z") } else { local_server::reply(401, "") }
        });
        let url = format!("{}/v1/credentials?id=1", server.url());
        let full = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", url.as_str());
        let keys = asked(&[full, ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Bearer abc")]).unwrap();
        assert_eq!((keys.id.as_str(), keys.secret.expose()), ("ASIA", "hidden"));
        assert_eq!(keys.session, Some(Secret::new("lent")));
        assert_eq!(keys.expires, Some(Wall::of_seconds(1_772_366_400)));
        let refused = asked(&[full]);
        assert!(matches!(&refused, Err(Fault::Failed(why)) if why.ends_with("status 401")), "{refused:?}");
        let requests = server.asked();
        assert!(requests[0].starts_with("GET /v1/credentials?id=1 HTTP/1.1\r\n"), "{requests:?}");
    }

    #[test]
    fn a_token_in_a_file_goes_before_the_variable_and_is_read_each_time() {
        let path = std::env::temp_dir().join(format!("resilient-redis-aws-{}-token", std::process::id()));
        let server = LocalServer::answering(|_| local_server::lent("ASIA", "2026-03-01T12:00:00Z"));
        let (url, file) = (server.url(), path.to_str().unwrap());
        let variables = [
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", url.as_str()),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "from the variable"),
        ];
        assert!(matches!(asked(&variables), Err(Fault::Failed(_))), "there is no such file yet");
        for token in ["first\n", "second"] {
            std::fs::write(&path, token).unwrap();
            asked(&variables).unwrap();
        }
        std::fs::write(&path, "two\nlines").unwrap();
        let refused = asked(&variables);
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(&refused, Err(Fault::Wrong(why)) if !why.contains("lines")), "{refused:?}");
        let requests = server.asked();
        assert_eq!(requests.len(), 2, "{requests:?}");
        assert!(requests[0].contains("Authorization: first\r\n"), "{requests:?}");
        assert!(requests[1].contains("Authorization: second\r\n"), "{requests:?}");
    }

    #[test]
    fn only_this_machine_and_the_endpoints_of_aws_are_asked() {
        let place = |url| endpoint(&HashMap::from([("AWS_CONTAINER_CREDENTIALS_FULL_URI", url)]));
        for allowed in [
            "http://127.0.0.1:8080/a",
            "http://127.1.2.3/a",
            "http://localhost/a",
            "http://[::1]/a",
            "http://169.254.170.2/a",
            "http://169.254.170.23/v1/credentials",
            "http://[fd00:ec2::23]/v1/credentials",
        ] {
            assert_eq!(place(allowed).map(|url| url.text), Ok(allowed.to_owned()));
        }
        for refused in [
            "http://10.0.0.1/a",
            "http://169.254.169.254/latest",
            "http://[fd00:ec2::254]/a",
            "http://[::ffff:10.0.0.1]/a",
            "http://localhost.example/a",
            "http://127.0.0.1.example/a",
            "http://127.0.0.1@10.0.0.1/a",
            "https://127.0.0.1/a",
        ] {
            assert!(matches!(place(refused), Err(Fault::Wrong(_))), "{refused}");
        }
    }

    #[test]
    fn a_relative_uri_is_one_of_ecs_and_goes_first() {
        let full = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1/a");
        let place = |path| endpoint(&HashMap::from([full, ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", path)]));
        assert_eq!(place("/v2/credentials/1").unwrap().text, "http://169.254.170.2/v2/credentials/1");
        assert!(matches!(place("@10.0.0.1/"), Err(Fault::Wrong(_))), "{:?}", place("@10.0.0.1/"));
        assert!(matches!(endpoint(&HashMap::new()), Err(Fault::Absent(_))));
    }

    #[test]
    fn an_answer_without_keys_is_none_that_is_used() {
        let all = [
            ("AccessKeyId", "ASIA"),
            ("SecretAccessKey", "hidden"),
            ("Token", "lent"),
            ("Expiration", "2026-03-01T12:00:00Z"),
        ];
        let body = |members: &[(&str, &str)]| {
            let members: Vec<_> = members.iter().map(|(name, value)| format!("\"{name}\":\"{value}\"")).collect();
            format!("{{{}}}", members.join(","))
        };
        assert!(lent(&body(&all)).is_some());
        for without in 0..2 {
            let mut some = all.to_vec();
            some.remove(without);
            assert_eq!(lent(&body(&some)), None, "without {}", all[without].0);
        }
        assert_eq!(lent(&body(&[all[0], all[1], ("Expiration", "soon")])), None);
        assert_eq!(lent(&body(&[all[0], all[1], ("Code", "Failed")])), None);
        assert_eq!(lent("<html>"), None);
    }
}
