//! The credentials file that AWS' tools share: sections of `name = value`.
//!
//! It is read anew each time, as often as a connection is opened. Of a profile only keys that stand there are used; what
//! names a role, a login or a program is not.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use crate::config::Secret;

use super::Keys;
use super::environment::Environment;
use super::error::Fault;

/// More than that nobody has written by hand.
const LARGEST: u64 = 1024 * 1024;

/// The keys of the profile that the environment names.
pub fn keys(environment: &dyn Environment) -> Result<Keys, Fault> {
    let named = environment.get("AWS_PROFILE");
    let profile = named.as_deref().unwrap_or("default");
    let path = match environment.get("AWS_SHARED_CREDENTIALS_FILE") {
        Some(path) => PathBuf::from(path),
        None => match environment.get("HOME") {
            Some(home) => PathBuf::from(home).join(".aws/credentials"),
            None => return Err(Fault::Absent("HOME is not set".to_owned())),
        },
    };
    let absent = |why: String| if named.is_some() { Fault::Wrong(why) } else { Fault::Absent(why) };
    let shown = path.display();
    let mut text = String::new();
    let read = File::open(&path).and_then(|file| file.take(LARGEST).read_to_string(&mut text));
    match read {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(absent(format!("there is no {shown}")));
        }
        Err(error) => return Err(absent(format!("{shown} cannot be read: {error}"))),
    }
    let Some(section) = section(&text, profile) else {
        return Err(absent(format!("{shown} has no profile '{profile}'")));
    };
    let of = |name: &str| section.iter().rev().find(|(known, _)| known == name).map(|(_, value)| (*value).to_owned());
    let (Some(id), Some(secret)) = (of("aws_access_key_id"), of("aws_secret_access_key")) else {
        let why = "has no keys; roles, logins and credential_process are not supported";
        return Err(Fault::Wrong(format!("profile '{profile}' of {shown} {why}")));
    };
    Ok(Keys { id, secret: Secret::new(secret), session: of("aws_session_token").map(Secret::new), expires: None })
}

/// What stands in a section, names in lower case.
fn section<'a>(text: &'a str, wanted: &str) -> Option<Vec<(String, &'a str)>> {
    let mut entries = None;
    let mut inside = false;
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            inside = name.trim() == wanted;
            if inside {
                entries.get_or_insert_with(Vec::new);
            }
        } else if inside
            && !line.starts_with([' ', '\t', '#', ';'])
            && let (Some((name, value)), Some(entries)) = (line.split_once('='), &mut entries)
            && !value.trim().is_empty()
        {
            entries.push((name.trim().to_ascii_lowercase(), value.trim()));
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    const TEXT: &str = "# by hand\n\
        [default]\n\
        aws_access_key_id = AKIAONE\n\
        AWS_SECRET_ACCESS_KEY=one=/+\n\
        \n\
        [ lent ]\n\
        ; comment = no entry\n\
        aws_access_key_id=ASIATWO\n\
        aws_secret_access_key= two \n\
        aws_session_token = session\n\
        s3 =\n\
        \x20 aws_access_key_id = nested\n\
        [role]\n\
        role_arn = arn:aws:iam::1:role/r\n";

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str, text: &str) -> Scratch {
            let path = std::env::temp_dir().join(format!("resilient-redis-aws-{}-{name}", std::process::id()));
            std::fs::write(&path, text).unwrap();
            Scratch(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    fn found(path: &str, profile: &str) -> Result<Keys, Fault> {
        keys(&HashMap::from([("AWS_SHARED_CREDENTIALS_FILE", path), ("AWS_PROFILE", profile)]))
    }

    #[test]
    fn the_profile_that_is_named_gives_its_keys() {
        let file = Scratch::new("profiles", TEXT);
        let path = file.0.to_str().unwrap();
        let expected = Keys { id: "AKIAONE".to_owned(), secret: Secret::new("one=/+"), session: None, expires: None };
        assert_eq!(found(path, ""), Ok(expected));
        let lent = found(path, "lent").unwrap();
        assert_eq!((lent.id.as_str(), lent.secret.expose()), ("ASIATWO", "two"));
        assert_eq!(lent.session, Some(Secret::new("session")));
    }

    #[test]
    fn a_profile_that_was_asked_for_must_be_there() {
        let file = Scratch::new("absent", TEXT);
        let path = file.0.to_str().unwrap();
        let missing = found(path, "nobody");
        assert!(matches!(&missing, Err(Fault::Wrong(why)) if why.contains("no profile 'nobody'")), "{missing:?}");
        let nowhere = found("/nowhere/credentials", "lent");
        assert!(matches!(&nowhere, Err(Fault::Wrong(why)) if why.contains("/nowhere/credentials")), "{nowhere:?}");
        let nobody_asked = found("/nowhere/credentials", "");
        assert!(matches!(nobody_asked, Err(Fault::Absent(_))), "{nobody_asked:?}");
    }

    #[test]
    fn a_profile_with_a_role_is_refused_in_words() {
        let file = Scratch::new("role", TEXT);
        let role = found(file.0.to_str().unwrap(), "role");
        assert!(matches!(&role, Err(Fault::Wrong(why)) if why.contains("roles")), "{role:?}");
    }

    #[test]
    fn without_a_file_in_the_environment_it_is_the_one_of_the_home() {
        let nowhere = keys(&HashMap::from([("HOME", "/nowhere")]));
        assert!(
            matches!(&nowhere, Err(Fault::Absent(why)) if why.contains("/nowhere/.aws/credentials")),
            "{nowhere:?}"
        );
        assert!(matches!(keys(&HashMap::new()), Err(Fault::Absent(_))));
    }
}
