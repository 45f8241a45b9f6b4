//! What can be a host name: said when the user writes one, and when a server announces one.

/// The most letters that a name has, a dot at its end not counted.
pub const LONGEST_NAME: usize = 253;
const LONGEST_LABEL: usize = 63;

/// Why DNS could not know the name; `None` if it could. Underscores are allowed: names of containers have them.
pub fn fault_of_host_name(name: &str) -> Option<&'static str> {
    let bare = name.strip_suffix('.').unwrap_or(name);
    if !bare.is_ascii() {
        Some("letters beyond ASCII are written in their xn-- form")
    } else if bare.len() > LONGEST_NAME {
        Some("it is longer than 253 letters")
    } else if bare.split('.').any(str::is_empty) {
        Some("a part between two dots is empty")
    } else if bare.split('.').any(|label| label.len() > LONGEST_LABEL) {
        Some("a part between two dots is longer than 63 letters")
    } else if !bare.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
        Some("only letters, digits, '-', '_' and '.' can be in one")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_a_name_is_said_in_words() {
        let long = "x".repeat(64);
        let longer = ["x".repeat(60).as_str(); 5].join(".");
        for (name, words) in [
            ("", "empty"),
            (".", "empty"),
            ("a..b", "empty"),
            ("a b", "only letters"),
            ("a\\.b", "only letters"),
            ("a\0", "only letters"),
            ("rédis.example", "xn--"),
            (long.as_str(), "63"),
            (longer.as_str(), "253"),
        ] {
            assert!(fault_of_host_name(name).is_some_and(|fault| fault.contains(words)), "{name:?}");
        }
        for name in ["redis", "redis.example.", "_redis-1.xn--rdis-bpa.example", "my_container", "10.0.0.1"] {
            assert_eq!(fault_of_host_name(name), None, "{name}");
        }
    }
}
