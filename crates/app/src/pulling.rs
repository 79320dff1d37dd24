use serde::Serialize;
use tandem_image::Transfer;
use tandem_model::Digest;

/// How far a pull has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ts_rs::TS)]
pub struct Pulling {
    /// The layers, bottom first; empty as long as they are not known.
    pub layers: Vec<PullingLayer>,
    /// Why something is tried again, if it is.
    pub note: Option<String>,
}

/// One layer of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ts_rs::TS)]
pub struct PullingLayer {
    /// Its blob.
    pub digest: Digest,
    /// Bytes that have come.
    #[ts(type = "number")]
    pub done: u64,
    /// Bytes in all, once known.
    #[ts(type = "number | null")]
    pub total: Option<u64>,
    /// Where it stands.
    pub state: PullingState,
}

/// Where a layer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ts_rs::TS)]
#[serde(rename_all = "snake_case")]
pub enum PullingState {
    /// Its turn has not come.
    Waiting,
    /// Bytes come.
    Moving,
    /// All have come and the digest is right.
    Stored,
    /// It was here before.
    Present,
    /// It is unpacked and ready.
    Unpacked,
}

impl Pulling {
    /// Takes one event in. What does not belong to a layer (the image's
    /// configuration) is left out.
    pub fn apply(&mut self, event: &Transfer) {
        match event {
            Transfer::Planned { layers, .. } => {
                let layer = |digest: &Digest| PullingLayer {
                    digest: digest.clone(),
                    done: 0,
                    total: None,
                    state: PullingState::Waiting,
                };
                self.layers = layers.iter().map(layer).collect();
            }
            Transfer::Moved { digest, done, total } => {
                self.note = None;
                for layer in self.of(digest) {
                    (layer.done, layer.total) = (*done, Some(*total));
                    layer.state = PullingState::Moving;
                }
            }
            Transfer::Present { digest } | Transfer::Mounted { digest, .. } => {
                self.set(digest, PullingState::Present);
            }
            Transfer::Stored { digest } => self.set(digest, PullingState::Stored),
            Transfer::Unpacked { digest } => self.set(digest, PullingState::Unpacked),
            Transfer::Again { reason, .. } => self.note = Some(reason.clone()),
        }
    }

    fn of(&mut self, digest: &Digest) -> impl Iterator<Item = &mut PullingLayer> {
        self.layers.iter_mut().filter(move |layer| layer.digest == *digest)
    }

    fn set(&mut self, digest: &Digest, state: PullingState) {
        for layer in self.of(digest) {
            layer.state = state;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_go_their_way_and_others_blobs_are_left_out() {
        let [a, b] = ["a", "b"].map(|c| format!("sha256:{}", c.repeat(64)).parse().unwrap());
        let mut pulling = Pulling::default();
        pulling.apply(&Transfer::Planned { layers: vec![a], bytes: 10 });
        let a = pulling.layers[0].digest.clone();
        pulling.apply(&Transfer::Moved { digest: a.clone(), done: 4, total: 10 });
        pulling.apply(&Transfer::Moved { digest: b, done: 1, total: 1 });
        assert_eq!(pulling.layers.len(), 1);
        assert_eq!((pulling.layers[0].done, pulling.layers[0].total), (4, Some(10)));
        pulling.apply(&Transfer::Unpacked { digest: a });
        assert_eq!(pulling.layers[0].state, PullingState::Unpacked);
    }
}
