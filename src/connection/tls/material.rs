//! What the files hold that the `ssl` options name: authorities, certificates and keys.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;

use pkcs8::{Document, EncryptedPrivateKeyInfo};
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;

use crate::config::{ConfigurationError, TlsOptions};

/// Who is trusted.
#[derive(Debug)]
pub struct Trusted {
    /// The authorities.
    pub roots: RootCertStore,
    /// The certificates of files that the user named, each as a whole: one that a server uses itself counts, too.
    pub named: Vec<CertificateDer<'static>>,
}

/// What was seen of the files at a time: when they are renewed it changes.
pub type Stamps = Vec<Option<(i64, i64, u64, u64)>>;

/// The stamps of all files that `options` name.
pub fn stamps(options: &TlsOptions) -> Stamps {
    let stamp = |data: Metadata| (data.mtime(), data.mtime_nsec(), data.size(), data.ino());
    let files = [&options.cafile, &options.capath, &options.local_cert, &options.local_pk];
    files.into_iter().flatten().map(|path| fs::metadata(path).ok().map(stamp)).collect()
}

/// The authorities that are trusted: those of the files, or the system's.
pub fn trusted(options: &TlsOptions) -> Result<Arc<Trusted>, ConfigurationError> {
    let mut trusted = Trusted { roots: RootCertStore::empty(), named: Vec::new() };
    if !options.verify_peer {
        return Ok(Arc::new(trusted));
    }
    if options.cafile.is_none() && options.capath.is_none() {
        let found = rustls_native_certs::load_native_certs();
        trusted.roots.add_parsable_certificates(found.certs);
        if trusted.roots.is_empty() {
            let given = "nothing, and the system has no trusted authorities";
            return Err(ConfigurationError::new("ssl.cafile", given, "the file with the authority of the server"));
        }
        return Ok(Arc::new(trusted));
    }
    if let Some(path) = &options.cafile {
        let text = read("ssl.cafile", path, "a file with certificates in PEM format")?;
        trusted.named.extend(certificates("ssl.cafile", path, &text)?);
    }
    if let Some(path) = &options.capath {
        for file in
            files_of(path).map_err(|error| unreadable("ssl.capath", path, "a folder of certificates", &error))?
        {
            // Folders of authorities hold other files beside them.
            if let Ok(text) = fs::read(&file) {
                trusted.named.extend(certificates("ssl.capath", path, &text).unwrap_or_default());
            }
        }
        if trusted.named.is_empty() {
            let given = format!("'{path}', which has no certificates");
            return Err(ConfigurationError::new(
                "ssl.capath",
                given,
                "a folder of files with certificates in PEM format",
            ));
        }
    }
    trusted.roots.add_parsable_certificates(trusted.named.iter().cloned());
    Ok(Arc::new(trusted))
}

/// Who we are to a server that asks.
pub fn identity(
    options: &TlsOptions,
    provider: &CryptoProvider,
) -> Result<Option<Arc<CertifiedKey>>, ConfigurationError> {
    let Some(path) = &options.local_cert else { return Ok(None) };
    let text = read("ssl.local_cert", path, "a file with the client's certificate in PEM format")?;
    let chain = certificates("ssl.local_cert", path, &text)?;
    let key = match &options.local_pk {
        Some(path) => {
            let text = read("ssl.local_pk", path, "a file with the client's key in PEM format")?;
            key("ssl.local_pk", path, &text, options)?
        }
        None => key("ssl.local_cert", path, &text, options)?,
    };
    let certified = CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            let given = "a key that is not the one of the certificate";
            ConfigurationError::new("ssl.local_pk", given, "the key of the certificate in `local_cert`")
        }
        _ => {
            let given = "a key of a kind that cannot be used";
            ConfigurationError::new("ssl.local_pk", given, "an RSA, ECDSA (P-256, P-384) or Ed25519 key")
        }
    })?;
    Ok(Some(Arc::new(certified)))
}

fn files_of(path: &str) -> io::Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(path)? {
        let file = entry?.path();
        if file.is_file() {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

fn read(option: &str, path: &str, accepted: &str) -> Result<Vec<u8>, ConfigurationError> {
    fs::read(path).map_err(|error| unreadable(option, path, accepted, &error))
}

fn unreadable(option: &str, path: &str, accepted: &str, error: &io::Error) -> ConfigurationError {
    let text = error.to_string();
    let reason = text.split(" (os error").next().unwrap_or_default();
    ConfigurationError::new(option, format!("'{path}', which cannot be read: {reason}"), accepted)
}

fn certificates(option: &str, path: &str, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, ConfigurationError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    found.ok().filter(|found| !found.is_empty()).ok_or_else(|| {
        let given = format!("'{path}', which holds no certificate in PEM format");
        ConfigurationError::new(option, given, "a file with '-----BEGIN CERTIFICATE-----'")
    })
}

const ENCRYPTED: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
const ENCRYPTED_END: &str = "-----END ENCRYPTED PRIVATE KEY-----";
const TO_PKCS8: &str = "a key in PKCS#8 format: openssl pkcs8 -topk8 -in old.key -out new.key";

fn key(
    option: &str,
    path: &str,
    text: &[u8],
    options: &TlsOptions,
) -> Result<PrivateKeyDer<'static>, ConfigurationError> {
    let words = String::from_utf8_lossy(text);
    let refused = |why: &str, accepted: &str| ConfigurationError::new(option, format!("'{path}', {why}"), accepted);
    if let Some(from) = words.find(ENCRYPTED) {
        let Some(passphrase) = &options.passphrase else {
            return Err(ConfigurationError::new(
                "ssl.passphrase",
                "nothing",
                "what the client's key is encrypted with",
            ));
        };
        let to = words[from..].find(ENCRYPTED_END).map_or(words.len(), |at| from + at + ENCRYPTED_END.len());
        let (_, document) = Document::from_pem(&format!("{}\n", &words[from..to]))
            .map_err(|_| refused("whose encrypted key is not in PEM format", TO_PKCS8))?;
        let sealed = EncryptedPrivateKeyInfo::try_from(document.as_bytes())
            .map_err(|_| refused("whose key is encrypted in a way that is not known", TO_PKCS8))?;
        let opened = sealed.decrypt(passphrase.expose()).map_err(|_| {
            let accepted = "what the client's key is encrypted with (by PBES2, as OpenSSL does since 1.1)";
            ConfigurationError::new("ssl.passphrase", "a secret that does not open the key", accepted)
        })?;
        return Ok(PrivatePkcs8KeyDer::from(opened.as_bytes().to_vec()).into());
    }
    if words.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(refused("whose key is encrypted in OpenSSL's old format", TO_PKCS8));
    }
    PrivateKeyDer::from_pem_slice(text).map_err(|_| match &options.local_pk {
        Some(_) => refused("which holds no private key in PEM format", TO_PKCS8),
        None => {
            refused("which holds no private key, and `local_pk` is not given", "the file with its key in `local_pk`")
        }
    })
}
