//! What went wrong with TLS, in words that say what to do.

use rustls::{AlertDescription, CertificateError, Error};

use super::Fault;

/// What `error` means for the user of a node whose certificate must have one of `names`. `talked` says that the
/// connection had been used: then it is nothing that the configuration could heal.
pub fn fault(error: &Error, names: &[String], talked: bool) -> Fault {
    let (text, lasting) = match error {
        Error::InvalidCertificate(why) => (certificate(why, names), true),
        Error::AlertReceived(alert) => alert_received(*alert),
        Error::PeerIncompatible(why) => (
            format!(
                "the server and this client have no version or suite of TLS in common ({why:?}): \
                     TLS 1.2 and 1.3 are spoken"
            ),
            true,
        ),
        Error::InvalidMessage(_) | Error::PeerMisbehaved(_) | Error::InappropriateMessage { .. } => {
            (format!("what came is no TLS ({error})"), false)
        }
        other => (format!("TLS failed: {other}"), false),
    };
    Fault { text, lasting: lasting && !talked }
}

/// The first byte of the answer is none that TLS begins with.
pub fn plain_answer(start: &[u8]) -> Fault {
    let shown: String = String::from_utf8_lossy(start).chars().take(60).collect();
    let shown = shown.split(['\r', '\n']).next().unwrap_or_default().escape_debug().to_string();
    let text = format!("the server answers without TLS ('{shown}'): use scheme tcp, or the port where it speaks TLS");
    Fault { text, lasting: true }
}

/// The server has closed within the handshake.
pub const CLOSED: &str = "the server closed the connection in the TLS handshake: does it speak TLS on this port?";

/// Nothing came within the time for a handshake.
pub const SILENT: &str = "no answer to the TLS handshake (a server that speaks no TLS on this port is as silent)";

/// The answer of a server to a greeting in the clear.
pub const SECURED: &str = "the server answers with TLS: use scheme tls";

/// What is said of a connection that ended before any answer to a greeting in the clear.
pub const UNHEARD: &str = "before any answer (if the server speaks TLS on this port: use scheme tls)";

fn certificate(why: &CertificateError, names: &[String]) -> String {
    match why {
        CertificateError::UnknownIssuer => {
            "the server's certificate is not from an authority that is trusted here: name \
                                            the file with its authority in option ssl.cafile"
                .to_owned()
        }
        CertificateError::BadSignature => {
            "the server's certificate is from an authority that has the name of one that is \
                                           trusted here and another key: name the file with the authority as it is \
                                           today in option ssl.cafile"
                .to_owned()
        }
        CertificateError::NotValidForNameContext { presented, .. } => not_for(names, presented),
        CertificateError::NotValidForName => not_for(names, &[]),
        CertificateError::ExpiredContext { time, not_after } => format!(
            "the server's certificate has expired: it was valid until {} ({} ago)",
            date(not_after.as_secs()),
            lasting(time.as_secs().saturating_sub(not_after.as_secs()))
        ),
        CertificateError::Expired => "the server's certificate has expired, or was never valid".to_owned(),
        CertificateError::NotValidYetContext { time, not_before } => format!(
            "the server's certificate is not valid before {} (in {}); is the clock of this machine right?",
            date(not_before.as_secs()),
            lasting(not_before.as_secs().saturating_sub(time.as_secs()))
        ),
        CertificateError::Other(other) => format!("the server's certificate cannot be used: {}", other.0),
        other => format!("the server's certificate cannot be used: {other}"),
    }
}

fn not_for(names: &[String], presented: &[String]) -> String {
    let wanted = match names {
        [] => "no name is known by which the node could be verified".to_owned(),
        names => format!("the server's certificate is not for {}", names.join(" or ")),
    };
    if presented.is_empty() {
        return format!("{wanted}: it has no subjectAltName at all, and a common name does not count");
    }
    let shown: Vec<&str> = presented.iter().map(|name| bare(name)).collect();
    format!("{wanted} but for {}: connect by such a name, or give it in option ssl.peer_name", shown.join(", "))
}

/// `DnsName("redis.example")` without what is around the name.
fn bare(name: &str) -> &str {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(name);
    inner.trim_matches('"')
}

fn alert_received(alert: AlertDescription) -> (String, bool) {
    match alert {
        AlertDescription::CertificateRequired => {
            ("the server wants a certificate of the client: name its file in option ssl.local_cert".to_owned(), true)
        }
        AlertDescription::UnknownCA
        | AlertDescription::BadCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::AccessDenied => {
            let text = format!("the server does not take the certificate of option ssl.local_cert (alert {alert:?})");
            (text, true)
        }
        AlertDescription::HandshakeFailure
        | AlertDescription::ProtocolVersion
        | AlertDescription::InsufficientSecurity => {
            let text = format!(
                "the server would not agree on TLS (alert {alert:?}): it may want a certificate of the client \
                 (option ssl.local_cert), or a version other than TLS 1.2 and 1.3"
            );
            (text, true)
        }
        AlertDescription::UnrecognisedName => {
            ("the server knows no such name: see options ssl.peer_name and ssl.SNI_enabled".to_owned(), true)
        }
        other => (format!("the server ended TLS (alert {other:?})"), false),
    }
}

/// Seconds since 1970 as a date in UTC.
fn date(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Eras of 400 years that begin in March, so that a leap day is the last of its year.
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 { (year, month + 3) } else { (year + 1, month - 9) };
    let (hour, minute) = (rest / 3_600, rest % 3_600 / 60);
    format!("{:04}-{month:02}-{of_month:02} {hour:02}:{minute:02} UTC", year + era * 400)
}

fn lasting(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} minutes", seconds / 60),
        7_200..172_800 => format!("{} hours", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::UnixTime;
    use std::time::Duration;

    use super::*;

    fn said(why: CertificateError) -> String {
        fault(&Error::InvalidCertificate(why), &["redis.example".to_owned()], false).text
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date(0), "1970-01-01 00:00 UTC");
        assert_eq!(date(951_782_399), "2000-02-28 23:59 UTC");
        assert_eq!(date(951_782_400), "2000-02-29 00:00 UTC");
        assert_eq!(date(4_107_542_400), "2100-03-01 00:00 UTC");
    }

    #[test]
    fn an_expired_certificate_is_said_to_be_expired_since_when() {
        let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let expired =
            CertificateError::ExpiredContext { time: at(951_782_400 + 10 * 86_400), not_after: at(951_782_400) };
        assert!(said(expired).ends_with("valid until 2000-02-29 00:00 UTC (10 days ago)"));
    }

    #[test]
    fn a_certificate_for_other_names_is_answered_with_these_names() {
        let presented = vec!["DnsName(\"*.cache.example\")".to_owned(), "IpAddress(10.0.0.1)".to_owned()];
        let expected = "redis.example".try_into().unwrap();
        let text = said(CertificateError::NotValidForNameContext { expected, presented });
        assert!(text.contains("not for redis.example but for *.cache.example, 10.0.0.1: connect by"), "{text}");
        assert!(said(CertificateError::NotValidForName).contains("no subjectAltName at all"));
    }

    #[test]
    fn what_befalls_a_connection_in_use_is_no_matter_of_configuration() {
        let alert = Error::AlertReceived(AlertDescription::CertificateRequired);
        assert!(fault(&alert, &[], false).lasting);
        assert!(!fault(&alert, &[], true).lasting);
        assert!(!fault(&Error::AlertReceived(AlertDescription::InternalError), &[], false).lasting);
    }
}
