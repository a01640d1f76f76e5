"""Whole networks: each an autoregressive image model with exact likelihood and exact samples."""

from pixelrnn.models.base import ImageDistribution as ImageDistribution
from pixelrnn.models.causal import CausalModel as CausalModel
from pixelrnn.models.diagonal_bilstm import DiagonalBiLSTM as DiagonalBiLSTM
from pixelrnn.models.gated_pixelcnn import GatedPixelCNN as GatedPixelCNN
from pixelrnn.models.multi_scale import MultiScale as MultiScale
from pixelrnn.models.pixelcnn import PixelCNN as PixelCNN
from pixelrnn.models.pixelsnail import PixelSNAIL as PixelSNAIL
from pixelrnn.models.row_lstm import RowLSTM as RowLSTM
