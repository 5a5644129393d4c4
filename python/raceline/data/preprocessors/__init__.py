"""Preprocessors: fitted to a dataset, then used to transform datasets and batches."""

from __future__ import annotations

from raceline.data.preprocessor import Preprocessor, PreprocessorNotFittedException
from raceline.data.preprocessors.categorizer import Categorizer
from raceline.data.preprocessors.chain import Chain
from raceline.data.preprocessors.concatenator import Concatenator
from raceline.data.preprocessors.discretizer import (
    CustomKBinsDiscretizer,
    UniformKBinsDiscretizer,
)
from raceline.data.preprocessors.encoder import (
    LabelEncoder,
    MultiHotEncoder,
    OneHotEncoder,
    OrdinalEncoder,
)
from raceline.data.preprocessors.hasher import FeatureHasher
from raceline.data.preprocessors.imputer import SimpleImputer
from raceline.data.preprocessors.normalizer import Normalizer
from raceline.data.preprocessors.scaler import (
    MaxAbsScaler,
    MinMaxScaler,
    RobustScaler,
    StandardScaler,
)
from raceline.data.preprocessors.serialization import (
    SerializablePreprocessor,
    SerializablePreprocessorBase,
    UnknownPreprocessorError,
)
from raceline.data.preprocessors.tokenizer import Tokenizer, simple_split_tokenizer
from raceline.data.preprocessors.torch import TorchVisionPreprocessor
from raceline.data.preprocessors.transformer import PowerTransformer
from raceline.data.preprocessors.vectorizer import (
    CountVectorizer,
    HashingVectorizer,
    simple_hash,
)

__all__ = [
    "Categorizer",
    "Chain",
    "Concatenator",
    "CountVectorizer",
    "CustomKBinsDiscretizer",
    "FeatureHasher",
    "HashingVectorizer",
    "LabelEncoder",
    "MaxAbsScaler",
    "MinMaxScaler",
    "MultiHotEncoder",
    "Normalizer",
    "OneHotEncoder",
    "OrdinalEncoder",
    "PowerTransformer",
    "Preprocessor",
    "PreprocessorNotFittedException",
    "RobustScaler",
    "SerializablePreprocessor",
    "SerializablePreprocessorBase",
    "SimpleImputer",
    "StandardScaler",
    "Tokenizer",
    "TorchVisionPreprocessor",
    "UniformKBinsDiscretizer",
    "UnknownPreprocessorError",
    "simple_hash",
    "simple_split_tokenizer",
]
