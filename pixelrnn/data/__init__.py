"""Data sets: image sets, and the data module that serves any of them. They know no model."""

from pixelrnn.data.base import PixelDataModule as PixelDataModule
from pixelrnn.data.cifar10 import CIFAR10 as CIFAR10
from pixelrnn.data.code_mesh import CodeMesh as CodeMesh
from pixelrnn.data.codes import Codes as Codes
from pixelrnn.data.digits import Digits as Digits
from pixelrnn.data.factory import served as served
from pixelrnn.data.fashion_mnist import FashionMNIST as FashionMNIST
from pixelrnn.data.image_set import ImageSet as ImageSet
from pixelrnn.data.imagenet import DownsampledImageNet as DownsampledImageNet
from pixelrnn.data.ising import Ising as Ising
from pixelrnn.data.mesh import BlindSpotMesh as BlindSpotMesh
from pixelrnn.data.mesh import Mesh as Mesh
from pixelrnn.data.mnist import MNIST as MNIST
from pixelrnn.data.mnist5k import MNIST5k as MNIST5k
from pixelrnn.data.own_images import Images as Images
from pixelrnn.data.patches import Patches as Patches
