use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use jsonwebtoken::{Algorithm, EncodingKey, encode};
use serde_json::json;

use super::*;

/// Nobody listens there.
const ISSUER: &str = "http://127.0.0.1:1";
const NOW: u64 = 1_800_000_000;

struct Signer {
    id: &'static str,
    pkcs8: Vec<u8>,
}

impl Signer {
    fn new(id: &'static str) -> Self {
        let document =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        Self { id, pkcs8: document.as_ref().to_vec() }
    }

    fn jwk(&self) -> Value {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &self.pkcs8).unwrap();
        // Uncompressed: a byte that says so, then both coordinates.
        let point = pair.public_key().as_ref();
        let coordinate = |at: usize| BASE64_URL_SAFE_NO_PAD.encode(&point[at..at + 32]);
        json!({"kty": "EC", "crv": "P-256", "kid": self.id, "x": coordinate(1), "y": coordinate(33)})
    }

    fn token(&self, more: &Value) -> Bearer {
        let mut claims = json!({"iss": ISSUER, "sub": "ada", "aud": "vmcp", "exp": NOW + 300});
        for (name, value) in more.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let header = Header { kid: Some(self.id.to_owned()), ..Header::new(Algorithm::ES256) };
        Bearer::new(&encode(&header, &claims, &EncodingKey::from_ec_der(&self.pkcs8)).unwrap())
    }
}

fn keys(of: &[&Signer]) -> String {
    json!({"keys": of.iter().map(|signer| signer.jwk()).collect::<Vec<_>>()}).to_string()
}

fn trusted() -> Trusted {
    Trusted {
        issuer: ISSUER.to_owned(),
        audience: "vmcp".to_owned(),
        jwks_url: Some(format!("{ISSUER}/jwks")),
        introspection: None,
        reach: Reach::default(),
    }
}

#[tokio::test]
async fn two_boundaries_05_a_token_is_verified_once_while_the_keys_of_its_issuer_are_the_same() {
    let (one, two) = (Signer::new("one"), Signer::new("two"));
    let (verifier, trusted) = (Verifier::new().unwrap(), [trusted()]);
    let learn = |of: &[&Signer]| verifier.learn(&trusted[0], &keys(of), Duration::ZERO).unwrap();
    let token = one.token(&json!({}));
    learn(&[&one]);
    let first = verifier.verify(&token, &trusted, NOW).await.unwrap();
    for now in [NOW, NOW + 1, NOW + 300] {
        assert!(Arc::ptr_eq(&first, &verifier.verify(&token, &trusted, now).await.unwrap()));
    }
    // The same keys, fetched anew.
    learn(&[&one]);
    assert!(Arc::ptr_eq(&first, &verifier.verify(&token, &trusted, NOW).await.unwrap()));
    learn(&[&one, &two]);
    let again = verifier.verify(&token, &trusted, NOW).await.unwrap();
    assert!(!Arc::ptr_eq(&first, &again) && first == again);
    assert!(Arc::ptr_eq(&again, &verifier.verify(&token, &trusted, NOW).await.unwrap()));
    // A key that is withdrawn takes with it what it has signed.
    learn(&[&two]);
    assert_eq!(verifier.verify(&token, &trusted, NOW).await.unwrap_err(), Denied::Invalid(Why::UnknownKey));
    let ended = two.token(&json!({"jti": "2"}));
    assert!(verifier.verify(&ended, &trusted, NOW).await.is_ok());
    assert_eq!(verifier.verify(&ended, &trusted, NOW + 331).await.unwrap_err(), Denied::Invalid(Why::Ended));
}

#[tokio::test]
async fn a_grant_is_told_by_all_that_is_said_of_it_and_not_by_what_is_one_tokens() {
    let one = Signer::new("one");
    let (verifier, trusted) = (Verifier::new().unwrap(), [trusted()]);
    verifier.learn(&trusted[0], &keys(&[&one]), Duration::ZERO).unwrap();
    let grant = async |more: Value| *verifier.verify(&one.token(&more), &trusted, NOW).await.unwrap().grant();
    let plain = grant(json!({})).await;
    for alike in [json!({"jti": "x"}), json!({"iat": 7}), json!({"exp": NOW + 60}), json!({"nbf": 7})] {
        assert_eq!(plain, grant(alike.clone()).await, "{alike}");
    }
    for other in [
        json!({"scope": "read"}),
        json!({"client_id": "phone"}),
        json!({"act": {"sub": "robot"}}),
        json!({"org_id": "big"}),
        json!({"authorization_details": [{"type": "account"}]}),
        json!({"aud": ["vmcp", "else"]}),
        json!({"acr": "2"}),
    ] {
        assert_ne!(plain, grant(other.clone()).await, "{other}");
    }
}

#[tokio::test]
async fn what_is_bound_to_a_key_is_nobodys_who_shows_none() {
    let one = Signer::new("one");
    let (verifier, trusted) = (Verifier::new().unwrap(), [trusted()]);
    verifier.learn(&trusted[0], &keys(&[&one]), Duration::ZERO).unwrap();
    for bound in [json!({"cnf": {"jkt": "x"}}), json!({"token_type": "DPoP"})] {
        let denied = verifier.verify(&one.token(&bound), &trusted, NOW).await.unwrap_err();
        assert_eq!(denied, Denied::Invalid(Why::Bound), "{bound}");
    }
}

/// Operators hear what is wrong with a token, each of which is one thing.
#[tokio::test]
async fn what_is_wrong_with_a_token_is_known() {
    let one = Signer::new("one");
    let (verifier, trusted) = (Verifier::new().unwrap(), [trusted()]);
    verifier.learn(&trusted[0], &keys(&[&one]), Duration::ZERO).unwrap();
    let table = [
        (json!({"iss": "https://other.example"}), Why::OtherIssuer),
        (json!({"aud": "else"}), Why::OtherAudience),
        (json!({"aud": null}), Why::Incomplete),
        (json!({"exp": NOW - 31}), Why::Ended),
        (json!({"exp": "never"}), Why::Incomplete),
        (json!({"nbf": NOW + 31}), Why::NotYet),
        (json!({"sub": ""}), Why::Incomplete),
        (json!({"c_hash": "x"}), Why::OtherKind),
        (json!({"typ": "ID"}), Why::OtherKind),
    ];
    for (otherwise, why) in table {
        let denied = verifier.verify(&one.token(&otherwise), &trusted, NOW).await.unwrap_err();
        assert_eq!(denied, Denied::Invalid(why), "{otherwise}");
    }
    for (token, why) in [
        (Bearer::new("opaque"), Why::Malformed),
        (Bearer::new(&"x".repeat(17_000)), Why::Malformed),
        (Signer::new("two").token(&json!({})), Why::UnknownKey),
        (Signer::new("one").token(&json!({})), Why::Signature),
    ] {
        assert_eq!(verifier.verify(&token, &trusted, NOW).await.unwrap_err(), Denied::Invalid(why));
    }
}

/// T17: keys that are for something else, too many, or another one under an id that is known.
#[tokio::test]
async fn jwt_and_jwks_hardening_of_documents() {
    let (one, other) = (Signer::new("one"), Signer::new("one"));
    let (verifier, trusted) = (Verifier::new().unwrap(), [trusted()]);
    let learn = |keys: Vec<Value>| {
        verifier.learn(&trusted[0], &json!({ "keys": keys }).to_string(), Duration::ZERO).unwrap();
    };
    let with = |mut jwk: Value, name: &str, value: &str| {
        jwk[name] = json!(value);
        jwk
    };
    let verified = async |token: &Bearer| {
        verifier.verify(token, &trusted, NOW).await.map(|verified| verified.subject.clone())
    };
    let token = one.token(&json!({}));
    for useless in [
        with(one.jwk(), "use", "enc"),
        with(one.jwk(), "alg", "ES384"),
        with(one.jwk(), "crv", "P-384"),
        with(one.jwk(), "kty", "oct"),
        with(one.jwk(), "x", "AAAA"),
    ] {
        learn(vec![useless.clone(), other.jwk()]);
        assert_eq!(verified(&token).await, Err(Denied::Invalid(Why::Signature)), "{useless}");
    }
    // A key that has taken another's id verifies what it has signed, and nothing else.
    learn(vec![one.jwk()]);
    assert_eq!(verified(&token).await, Ok("ada".to_owned()));
    learn(vec![other.jwk()]);
    assert_eq!(verified(&token).await, Err(Denied::Invalid(Why::Signature)));
    assert_eq!(verified(&other.token(&json!({}))).await, Ok("ada".to_owned()));
    // Nobody looks through ten thousand.
    let many =
        |last: Value| (0..10_000).map(|_| with(other.jwk(), "kid", "x")).chain([last]).collect::<Vec<_>>();
    learn(many(one.jwk()));
    assert_eq!(verified(&token).await, Err(Denied::Invalid(Why::UnknownKey)));
    learn(many(one.jwk()).into_iter().rev().collect());
    assert_eq!(verified(&token).await, Ok("ada".to_owned()));
}
