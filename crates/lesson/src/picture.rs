use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Language;

/// A drawing of this very machine, which the window makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Picture {
    /// What a container and a virtual machine stand on, layer by layer.
    Architecture,
}

/// One stack of a picture in words, for paper and terminals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stack {
    /// What stands on the rest.
    pub name: &'static str,
    /// Its layers, from the top.
    pub layers: &'static [&'static str],
}

impl Picture {
    /// Its stacks, the container's first.
    pub fn stacks(self, language: Language) -> [Stack; 2] {
        let Self::Architecture = self;
        match language {
            Language::En => [
                Stack {
                    name: "Container",
                    layers: &[
                        "app and libraries",
                        "container engine",
                        "this machine's kernel",
                        "hardware",
                    ],
                },
                Stack {
                    name: "Virtual machine",
                    layers: &[
                        "app and libraries",
                        "a kernel of its own",
                        "hypervisor",
                        "this machine's kernel",
                        "hardware",
                    ],
                },
            ],
            Language::De => [
                Stack {
                    name: "Container",
                    layers: &[
                        "App und Bibliotheken",
                        "Container-Engine",
                        "Kernel dieses Rechners",
                        "Hardware",
                    ],
                },
                Stack {
                    name: "Virtuelle Maschine",
                    layers: &[
                        "App und Bibliotheken",
                        "ein eigener Kernel",
                        "Hypervisor",
                        "Kernel dieses Rechners",
                        "Hardware",
                    ],
                },
            ],
        }
    }
}

impl FromStr for Picture {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "architecture" => Ok(Self::Architecture),
            _ => Err(format!("`{word}` is no picture: expected architecture")),
        }
    }
}
