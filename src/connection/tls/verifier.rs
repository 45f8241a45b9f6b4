//! Whether a certificate is good enough, by the rules that the `ssl` options set.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

use super::material::Trusted;
use crate::config::TlsOptions;

/// The rules for one node.
#[derive(Debug)]
pub struct Verifier {
    trusted: Arc<Trusted>,
    names: Vec<ServerName<'static>>,
    verify_peer: bool,
    verify_peer_name: bool,
    allow_self_signed: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    /// The rules that `options` set for a node of these names.
    pub fn new(
        options: &TlsOptions,
        trusted: Arc<Trusted>,
        names: &[String],
        algorithms: WebPkiSupportedAlgorithms,
    ) -> Verifier {
        Verifier {
            trusted,
            names: names.iter().filter_map(|name| ServerName::try_from(name.clone()).ok()).collect(),
            verify_peer: options.verify_peer,
            verify_peer_name: options.verify_peer_name,
            allow_self_signed: options.allow_self_signed,
            algorithms,
        }
    }

    fn verify_chain(
        &self,
        certificate: &CertificateDer<'_>,
        parsed: &ParsedCertificate<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let verified =
            verify_server_cert_signed_by_trust_anchor(parsed, &self.trusted.roots, others, now, self.algorithms.all);
        let Err(error) = verified else { return Ok(()) };
        // That it is valid at this time was looked at before the rest.
        let is_authority = is_authority(&error);
        if is_authority && self.trusted.named.iter().any(|named| named.as_ref() == certificate.as_ref()) {
            return Ok(());
        }
        // A bad signature is one of another key than that of the trusted authority, whose name it bears.
        let unknown = is_authority
            || matches!(
                error,
                Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature)
            );
        if self.allow_self_signed && unknown && is_self_signed(certificate) {
            return Ok(());
        }
        // An authority's own certificate on a server is one of an issuer that nobody has named.
        Err(if is_authority { CertificateError::UnknownIssuer.into() } else { error })
    }

    fn verify_name(&self, parsed: &ParsedCertificate<'_>) -> Result<(), Error> {
        let mut first = None;
        for name in &self.names {
            match verify_server_name(parsed, name) {
                Ok(()) => return Ok(()),
                Err(error) => first = first.or(Some(error)),
            }
        }
        Err(first.unwrap_or(Error::InvalidCertificate(CertificateError::NotValidForName)))
    }
}

/// Whether the only objection is that the certificate is one of an authority: what `openssl req -x509` makes is.
fn is_authority(error: &Error) -> bool {
    match error {
        Error::InvalidCertificate(CertificateError::Other(other)) => {
            matches!(other.0.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
        }
        _ => false,
    }
}

fn is_self_signed(certificate: &CertificateDer<'_>) -> bool {
    webpki::EndEntityCert::try_from(certificate).is_ok_and(|parsed| parsed.issuer() == parsed.subject())
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _told: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let parsed = ParsedCertificate::try_from(certificate)?;
        if self.verify_peer {
            self.verify_chain(certificate, &parsed, others, now)?;
        }
        if self.verify_peer_name {
            self.verify_name(&parsed)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
