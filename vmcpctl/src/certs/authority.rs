//! An authority in a folder: its key and certificate, what it has made, and what of that was revoked.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use fs_err::os::unix::fs::OpenOptionsExt;
use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PublicKeyData, RevokedCertParams, SanType,
    SerialNumber,
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use vmcp_core::name::Name;
use vmcp_runtime::unix_ms;

use crate::settings::OperatorRole;

/// Days for which an authority, and what it says of revoked certificates, is good.
const AUTHORITY_DAYS: i64 = 3_650;

/// Names whose files would be the authority's own.
const TAKEN: [&str; 5] = ["ca", "crl", "access", "index", "lock"];

/// Whose certificate it is, and with that how they are called.
pub(super) enum Whose {
    ControlPlane { hosts: Vec<String> },
    Replica,
    Operator(OperatorRole),
}

/// The folder, opened.
pub(super) struct Authority {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    index: Index,
    /// Locked for as long as this lives: two that write at once would lose what one of them made.
    _lock: fs_err::File,
}

/// What was made.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Index {
    trust_domain: String,
    made: Vec<Made>,
}

/// One certificate.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Made {
    pub(super) name: String,
    pub(super) id: String,
    /// The day on which it ends.
    pub(super) until: String,
    pub(super) is_revoked: bool,
    /// In hexadecimal.
    serial: String,
}

/// What has just been made: names of files in the folder.
pub(super) struct Issued {
    pub(super) certificate: String,
    pub(super) key: String,
    pub(super) id: String,
    pub(super) until: String,
}

impl Authority {
    /// Makes one in a folder that has none.
    pub(super) fn create(folder: &Path, trust_domain: &Name) -> anyhow::Result<()> {
        if folder.join("ca-key.pem").exists() {
            bail!("{} is an authority already", folder.display());
        }
        fs_err::create_dir_all(folder)?;
        let lock = lock(folder)?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, format!("vmcp authority of {trust_domain}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        (params.not_before, params.not_after) = (day(-1)?.1, day(AUTHORITY_DAYS)?.1);
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?.pem();
        write(&folder.join("ca-key.pem"), &key.serialize_pem(), true)?;
        write(&folder.join("ca.pem"), &certificate, false)?;
        write(&folder.join("access.yaml"), &access(trust_domain), false)?;
        let index = Index { trust_domain: trust_domain.to_string(), made: Vec::new() };
        let issuer = Issuer::new(params, key);
        Self { folder: folder.to_owned(), issuer, index, _lock: lock }.keep()
    }

    pub(super) fn open(folder: &Path) -> anyhow::Result<Self> {
        let read = |name: &str| {
            fs_err::read_to_string(folder.join(name))
                .context("this is no authority: `vmcpctl certs init` makes one")
        };
        let key = read("ca-key.pem")?;
        let lock = lock(folder)?;
        let key = KeyPair::from_pem(&key).context("ca-key.pem is not a key")?;
        let issuer =
            Issuer::from_ca_cert_pem(&read("ca.pem")?, key).context("ca.pem is not a certificate")?;
        let index = serde_json::from_str(&read("index.json")?).context("index.json cannot be read")?;
        Ok(Self { folder: folder.to_owned(), issuer, index, _lock: lock })
    }

    pub(super) fn issue(mut self, name: &Name, whose: &Whose, days: i64) -> anyhow::Result<Issued> {
        if TAKEN.contains(&name.as_str()) || name.as_str().ends_with("-key") {
            bail!("`{name}` is the name of a file that the authority keeps itself; choose another name");
        }
        let (hosts, step) = match whose {
            Whose::ControlPlane { hosts } => (hosts.clone(), "control-plane".to_owned()),
            Whose::Replica => (Vec::new(), "replica".to_owned()),
            Whose::Operator(role) => (Vec::new(), format!("operator/{}", role.as_str())),
        };
        let id = format!("spiffe://{}/{step}/{name}", self.index.trust_domain);
        // Their files would be the same, and whoever is revoked is named by it.
        let mut others = self.index.made.iter().filter(|made| made.name == name.as_str() && !made.is_revoked);
        if let Some(other) = others.find(|made| made.id != id) {
            bail!(
                "`{name}` has a certificate as {}; choose another name, or take that one back with `vmcpctl certs revoke {name}`",
                other.id
            );
        }
        if let Some(host) = hosts.iter().find(|host| !is_host(host)) {
            bail!(
                "`{host}` is not the name of a host; write `control.example.com`, without a scheme or a port"
            );
        }
        let mut params = CertificateParams::new(hosts).context("that cannot be the name of a host")?;
        params.subject_alt_names.push(SanType::URI(id.as_str().try_into()?));
        params.distinguished_name.push(DnType::CommonName, name.as_str());
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        if matches!(whose, Whose::ControlPlane { .. }) {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        }
        let (until, not_after) = day(days)?;
        (params.not_before, params.not_after) = (day(-1)?.1, not_after);
        let key = KeyPair::generate()?;
        let serial = serial(&key);
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        let certificate = params.signed_by(&key, &self.issuer)?;
        let issued = Issued { certificate: format!("{name}.pem"), key: format!("{name}-key.pem"), id, until };
        let serial = serial.iter().map(|byte| format!("{byte:02x}")).collect();
        self.index.made.push(Made {
            name: name.to_string(),
            id: issued.id.clone(),
            until: issued.until.clone(),
            is_revoked: false,
            serial,
        });
        // What is not in the index could not be revoked.
        self.keep()?;
        write(&self.folder.join(&issued.key), &key.serialize_pem(), true)?;
        write(&self.folder.join(&issued.certificate), &certificate.pem(), false)?;
        Ok(issued)
    }

    /// How many were. The list of what is revoked is written anew, even if nothing is added to it.
    pub(super) fn revoke(mut self, name: &Name) -> anyhow::Result<usize> {
        let theirs = self.index.made.iter_mut().filter(|made| made.name == name.as_str() && !made.is_revoked);
        let count = theirs.map(|made| made.is_revoked = true).count();
        self.keep()?;
        if count == 0 {
            bail!(
                "there is no certificate of `{name}` that could be revoked; `vmcpctl certs list` lists them"
            );
        }
        Ok(count)
    }

    pub(super) fn made(&self) -> &[Made] {
        &self.index.made
    }

    /// Writes what was made, and what of it was revoked.
    fn keep(&self) -> anyhow::Result<()> {
        let (now, next) = (day(0)?.1, day(AUTHORITY_DAYS)?.1);
        let revoked = self.index.made.iter().filter(|made| made.is_revoked);
        let revoked = revoked.map(|made| RevokedCertParams {
            serial_number: SerialNumber::from_slice(&bytes(&made.serial)),
            revocation_time: now,
            reason_code: None,
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update: now,
            next_update: next,
            crl_number: SerialNumber::from(unix_ms()),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&self.issuer)?.pem()?;
        // The list first: what is in it is refused, whatever the index says.
        write(&self.folder.join("crl.pem"), &list, false)?;
        write(&self.folder.join("index.json"), &(serde_json::to_string_pretty(&self.index)? + "\n"), false)
    }
}

/// A name, of which the first step may be `*`, or an address.
fn is_host(text: &str) -> bool {
    let is_name = |text: &str| {
        !text.is_empty()
            && text.split('.').all(|step| {
                !step.is_empty()
                    && step.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            })
    };
    text.parse::<std::net::IpAddr>().is_ok() || is_name(text.strip_prefix("*.").unwrap_or(text))
}

/// So many days from now: as it is written, and for certificates.
fn day(days: i64) -> anyhow::Result<(String, OffsetDateTime)> {
    let at = i64::try_from(unix_ms() / 1_000)? + days * 24 * 60 * 60;
    let written = Timestamp::from_second(at)?.strftime("%F").to_string();
    Ok((written, OffsetDateTime::from_unix_timestamp(at)?))
}

/// 16 bytes that nobody else has: they are of a new key.
fn serial(key: &KeyPair) -> Vec<u8> {
    let point = key.der_bytes();
    let mut serial: Vec<u8> = point.iter().rev().take(16).copied().collect();
    // Positive, and not zero.
    serial.insert(0, 1);
    serial
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    digits.filter_map(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok()).collect()
}

fn lock(folder: &Path) -> anyhow::Result<fs_err::File> {
    let file = fs_err::File::create(folder.join("lock"))?;
    file.file().lock().context("the folder cannot be locked")?;
    Ok(file)
}

/// Whole or not at all.
fn write(path: &Path, text: &str, is_secret: bool) -> anyhow::Result<()> {
    let beside = path.with_extension("new");
    if beside.exists() {
        fs_err::remove_file(&beside)?;
    }
    // A file that was there would keep its own mode.
    let mut options = fs_err::OpenOptions::new();
    options.write(true).create_new(true).mode(if is_secret { 0o600 } else { 0o644 });
    options.open(&beside)?.write_all(text.as_bytes())?;
    fs_err::rename(&beside, path)?;
    Ok(())
}

/// Who may do what, for the certificates that are made here.
fn access(trust_domain: &Name) -> String {
    format!(
        "# Who may do what on the control channel. It is read again when it changes; who is not in it may do nothing.
replicas:
  - id: spiffe://{trust_domain}/replica/*
    # virtual_servers: [team]     # these alone
operators:
  - id: spiffe://{trust_domain}/operator/read/*
    role: read
  - id: spiffe://{trust_domain}/operator/write/*
    role: write
  - id: spiffe://{trust_domain}/operator/admin/*
    role: admin
"
    )
}
