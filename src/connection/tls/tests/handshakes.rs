use std::net::IpAddr;

use rcgen::{BasicConstraints, IsCa, date_time_ymd};

use super::super::super::{Interest, Transport};
use super::super::policies::{self, announce, check};
use super::super::{Fault, TlsTransport};
use super::peer::{
    Authority, BOTH, Identity, Wire, node, open, opened, policy, received, self_signed, server, trusting,
};
use crate::config::{NodeAddress, Secret, TlsOptions, TlsVersion};

const HOST: &str = "redis.example";

/// What the client says of a server with this certificate.
fn refusal(options: TlsOptions, hosts: &[&str], identity: &Identity) -> Fault {
    let wire = Wire::to(&server(identity, None, BOTH));
    match open(&policy(options, hosts), &node(), &wire) {
        Ok(_) => panic!("it was accepted"),
        Err(error) => Fault::of(&error).cloned().unwrap_or_else(|| panic!("{error}")),
    }
}

fn accepts(options: TlsOptions, hosts: &[&str], identity: &Identity) {
    opened(&policy(options, hosts), &Wire::to(&server(identity, None, BOTH)));
}

#[test]
fn a_certificate_of_a_trusted_authority_for_the_configured_name_is_accepted() {
    let authority = Authority::new();
    let identity = authority.signs(&[HOST]);
    accepts(trusting(&authority), &[HOST], &identity);
    accepts(TlsOptions { capath: Some(authority.folder()), ..TlsOptions::default() }, &[HOST], &identity);
    for version in [TlsVersion::V12, TlsVersion::V13] {
        accepts(TlsOptions { oldest: version, newest: version, ..trusting(&authority) }, &[HOST], &identity);
    }
}

#[test]
fn what_comes_last_of_a_handshake_in_very_many_pieces_is_not_waited_for_again() {
    let authority = Authority::new();
    let wire = Wire::to(&server(&authority.signs(&[HOST]), None, BOTH));
    let tls = policy(trusting(&authority), &[HOST]);
    let mut transport = TlsTransport::begin(&tls, &node(), Box::new(wire.clone())).unwrap();
    // The peer's answer lies on the wire, and nothing of it comes yet.
    wire.change(|peer| peer.piece = Some(0));
    assert_eq!(transport.step().unwrap(), Some(Interest::Read));
    // One step takes 64 pieces.
    let last = wire.change(|peer| {
        peer.piece = None;
        let early = peer.toward.len() - 64;
        peer.toward.split_off(early)
    });
    assert_eq!(transport.step().unwrap(), Some(Interest::Read));
    wire.change(|peer| (peer.toward, peer.piece) = (last, Some(1)));
    assert_eq!(transport.step().unwrap(), Some(Interest::Either), "all has come");
    assert_eq!(transport.step().unwrap(), None);
}

#[test]
fn a_wildcard_is_good_for_all_nodes_behind_the_endpoints() {
    let authority = Authority::new();
    let identity = authority.signs(&["*.abc.use1.cache.example"]);
    accepts(trusting(&authority), &["master.abc.use1.cache.example", "replica.abc.use1.cache.example"], &identity);
}

#[test]
fn an_unknown_authority_is_answered_with_the_option_that_names_it() {
    let fault = refusal(trusting(&Authority::new()), &[HOST], &Authority::new().signs(&[HOST]));
    assert!(fault.lasting && fault.text.contains("option ssl.cafile"), "{fault}");
}

#[test]
fn a_certificate_for_another_name_is_answered_with_the_names_that_it_has() {
    let authority = Authority::new();
    let identity = authority.signs(&["other.example", "10.0.0.9"]);
    let fault = refusal(trusting(&authority), &[HOST], &identity);
    assert!(fault.lasting && fault.text.contains("not for redis.example but for other.example, 10.0.0.9"), "{fault}");
    accepts(TlsOptions { peer_name: Some("other.example".into()), ..trusting(&authority) }, &[HOST], &identity);
    accepts(TlsOptions { verify_peer_name: false, ..trusting(&authority) }, &[HOST], &identity);
}

#[test]
fn the_address_of_a_node_counts_only_where_addresses_are_all_that_is_configured() {
    let authority = Authority::new();
    let identity = authority.signs(&["10.0.0.1"]);
    accepts(trusting(&authority), &["10.0.0.1"], &identity);
    accepts(trusting(&authority), &["10.0.0.7"], &identity);
    accepts(trusting(&authority), &[], &identity);
    let fault = refusal(trusting(&authority), &[HOST], &identity);
    assert!(fault.text.contains("not for redis.example but for 10.0.0.1"), "{fault}");
}

#[test]
fn a_node_may_have_the_name_by_which_another_one_announced_it() {
    let authority = Authority::new();
    let identity = authority.signs(&["node-2.example"]);
    let tls = policy(trusting(&authority), &[HOST]);
    let wire = || Wire::to(&server(&identity, None, BOTH));
    assert!(open(&tls, &node(), &wire()).is_err());
    announce(&tls, "node-2.example", &[IpAddr::from([10, 0, 0, 1])]);
    opened(&tls, &wire());
    assert!(open(&tls, &NodeAddress::tcp("10.0.0.2", 6379), &wire()).is_err(), "it was announced at one address");
    let other = policy(TlsOptions { sni: false, ..trusting(&authority) }, &[HOST]);
    assert!(open(&other, &node(), &wire()).is_err(), "another policy has heard nothing");
}

#[test]
fn an_expired_certificate_and_one_of_tomorrow_are_refused_with_their_dates() {
    let authority = Authority::new();
    let expired = authority.signs_so(&[HOST], |params| {
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 2, 3));
    });
    let fault = refusal(trusting(&authority), &[HOST], &expired);
    assert!(fault.lasting && fault.text.contains("valid until 2021-02-03 00:00 UTC"), "{fault}");
    let early = authority.signs_so(&[HOST], |params| {
        (params.not_before, params.not_after) = (date_time_ymd(2090, 1, 1), date_time_ymd(2091, 1, 1));
    });
    let fault = refusal(trusting(&authority), &[HOST], &early);
    assert!(fault.text.contains("not valid before 2090-01-01"), "{fault}");
}

#[test]
fn a_self_signed_certificate_is_refused_unless_it_is_allowed_or_named_itself() {
    let authority = Authority::new();
    let leaf = self_signed(&[HOST], |_| {});
    let openssl = self_signed(&[HOST], |params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    for identity in [&leaf, &openssl] {
        let fault = refusal(trusting(&authority), &[HOST], identity);
        assert!(fault.text.contains("ssl.cafile"), "{fault}");
        accepts(TlsOptions { allow_self_signed: true, ..trusting(&authority) }, &[HOST], identity);
        let own = authority.file("own.pem", &identity.pem);
        accepts(TlsOptions { cafile: Some(own), ..TlsOptions::default() }, &[HOST], identity);
        accepts(TlsOptions { verify_peer: false, ..TlsOptions::default() }, &[HOST], identity);
    }
    let fault = refusal(TlsOptions { allow_self_signed: true, ..trusting(&authority) }, &["b.example"], &openssl);
    assert!(fault.text.contains("not for b.example"), "its name counts all the same: {fault}");
    let foreign = Authority::new().signs(&[HOST]);
    refusal(TlsOptions { allow_self_signed: true, ..trusting(&authority) }, &[HOST], &foreign);
}

#[test]
fn an_expired_certificate_is_refused_though_it_is_named_itself() {
    let authority = Authority::new();
    let expired = self_signed(&[HOST], |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 2, 3));
    });
    let own = authority.file("own.pem", &expired.pem);
    let options = TlsOptions { cafile: Some(own), allow_self_signed: true, ..TlsOptions::default() };
    assert!(refusal(options, &[HOST], &expired).text.contains("has expired"));
}

#[test]
fn a_server_that_wants_a_certificate_gets_the_clients() {
    let authority = Authority::new();
    let own = authority.signs(&["client"]);
    let options = TlsOptions {
        local_cert: Some(authority.file("client.pem", &own.pem)),
        local_pk: Some(authority.file("client.key", &own.key_pem)),
        ..trusting(&authority)
    };
    let config = server(&authority.signs(&[HOST]), Some(&authority), BOTH);
    let wire = Wire::to(&config);
    let mut transport = opened(&policy(options.clone(), &[HOST]), &wire);
    transport.send(b"PING").unwrap();
    assert_eq!(wire.change(|peer| peer.received.clone()), b"PING");
    let both = TlsOptions {
        local_cert: Some(authority.file("both.pem", &(own.pem.clone() + &own.key_pem))),
        local_pk: None,
        ..options
    };
    opened(&policy(both, &[HOST]), &Wire::to(&config));
}

#[test]
fn a_client_without_a_certificate_is_told_which_option_names_it() {
    let authority = Authority::new();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let wire = Wire::to(&server(&authority.signs(&[HOST]), Some(&authority), &[version]));
        let tls = policy(trusting(&authority), &[HOST]);
        // With TLS 1.3 it is let in first, and told with the first answer.
        let error = open(&tls, &node(), &wire).and_then(|mut transport| {
            transport.send(b"PING")?;
            received(&mut transport)
        });
        let error = error.unwrap_err();
        let fault = Fault::of(&error).unwrap();
        assert!(fault.lasting && fault.text.contains("option ssl.local_cert"), "{version:?}: {fault}");
    }
}

#[test]
fn files_that_are_wrong_are_named_without_what_they_hold() {
    let authority = Authority::new();
    let own = authority.signs(&["client"]);
    let cert = authority.file("client.pem", &own.pem);
    let refused = |options: TlsOptions| check(&policy(options, &[HOST])).unwrap_err();
    let error = refused(TlsOptions { cafile: Some("/nowhere/ca.pem".into()), ..TlsOptions::default() });
    assert_eq!(error.option(), "ssl.cafile");
    assert!(error.given().contains("'/nowhere/ca.pem', which cannot be read: No such file"), "{error}");
    let empty = authority.file("empty.pem", "hunter2");
    let error = refused(TlsOptions { cafile: Some(empty.clone()), ..TlsOptions::default() });
    assert!(error.given().contains("holds no certificate") && !error.to_string().contains("hunter2"), "{error}");
    let with_key = |key: String| TlsOptions {
        local_cert: Some(cert.clone()),
        local_pk: Some(key),
        passphrase: Some(Secret::new("hunter2")),
        ..trusting(&authority)
    };
    let error = refused(with_key(empty));
    assert_eq!((error.option(), error.given().contains("holds no private key")), ("ssl.local_pk", true), "{error}");
    let other = authority.file("other.key", &authority.signs(&["other"]).key_pem);
    let error = refused(with_key(other));
    assert!(error.given().contains("not the one of the certificate"), "{error}");
    let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nhunter2\n-----END RSA PRIVATE KEY-----\n";
    let error = refused(with_key(authority.file("old.key", old)));
    assert!(error.accepted().contains("openssl pkcs8 -topk8") && !error.to_string().contains("hunter2"), "{error}");
    let folder = TlsOptions { capath: Some("/nowhere".into()), ..TlsOptions::default() };
    assert_eq!(refused(folder).option(), "ssl.capath");
}

#[test]
fn files_are_read_again_when_they_were_renewed_and_kept_while_they_are_broken() {
    let (authority, next) = (Authority::new(), Authority::new());
    let tls = policy(trusting(&authority), &[HOST]);
    let config = server(&next.signs(&[HOST]), None, BOTH);
    assert!(open(&tls, &node(), &Wire::to(&config)).is_err());
    authority.file("ca.pem", "");
    assert!(check(&tls).is_ok(), "they were right before");
    let bundle = std::fs::read_to_string(next.cafile()).unwrap();
    authority.file("ca.pem", &bundle);
    opened(&tls, &Wire::to(&config));
}

#[test]
fn a_session_is_resumed_at_the_node_that_it_was_with_and_at_no_other() {
    let authority = Authority::new();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let config = server(&authority.signs(&[HOST]), None, &[version]);
        let tls = policy(TlsOptions { cafile: Some(authority.cafile()), ..TlsOptions::default() }, &[HOST, "x"]);
        let carried = |address: &str| {
            let wire = Wire::to(&config);
            let mut transport = open(&tls, &NodeAddress::tcp(address, 1), &wire).unwrap();
            transport.send(b"PING").unwrap();
            wire.say(b"+PONG\r\n");
            received(&mut transport).unwrap();
            wire.change(|peer| (peer.carried, peer.sends))
        };
        let port = if *version == rustls::version::TLS12 { "10.0.1.2" } else { "10.0.1.3" };
        let (full, resumed) = (carried(port), carried(port));
        assert!(resumed.0 + 200 < full.0, "{version:?}: {full:?}, then {resumed:?}");
        let elsewhere = carried("10.0.1.4");
        assert!(elsewhere.0 + 100 > full.0, "{version:?}: {full:?}, elsewhere {elsewhere:?}");
    }
}

#[test]
fn a_server_without_tls_is_told_by_its_answer() {
    let authority = Authority::new();
    let wire = Wire::to_nobody();
    wire.change(|peer| peer.toward = b"-ERR unknown command '\x16\x03'\r\n".to_vec());
    let error = open(&policy(trusting(&authority), &[HOST]), &node(), &wire).err().unwrap();
    let fault = Fault::of(&error).unwrap();
    assert!(fault.lasting && fault.text.contains("answers without TLS ('-ERR unknown command"), "{fault}");
    let closed = Wire::to_nobody();
    closed.change(|peer| peer.closed = true);
    let error = open(&policy(trusting(&authority), &[HOST]), &node(), &closed).err().unwrap();
    assert!(error.to_string().contains("does it speak TLS on this port"), "{error}");
}

#[test]
fn a_handshake_in_small_pieces_ends_as_well() {
    let authority = Authority::new();
    let wire = Wire::to(&server(&authority.signs(&[HOST]), None, BOTH));
    wire.change(|peer| peer.room = Some(0));
    let mut transport =
        TlsTransport::begin(&policy(trusting(&authority), &[HOST]), &node(), Box::new(wire.clone())).unwrap();
    let mut steps = 0;
    while transport.step().unwrap().is_some() {
        wire.change(|peer| peer.room = Some(7));
        steps += 1;
        assert!(steps < 1000, "it does not end");
    }
    assert!(steps > 10, "{steps}");
}

#[test]
fn a_policy_has_one_configuration_per_node() {
    let authority = Authority::new();
    let tls = policy(trusting(&authority), &[HOST]);
    let config = |address: &str| policies::secured(&tls, &NodeAddress::tcp(address, 1)).unwrap().config;
    assert!(std::sync::Arc::ptr_eq(&config("10.0.0.1"), &config("10.0.0.1")));
    assert!(!std::sync::Arc::ptr_eq(&config("10.0.0.1"), &config("10.0.0.2")));
}
