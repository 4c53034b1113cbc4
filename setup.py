"""Packaging of BatchBrew; the tools (ruff, mypy, pytest) are configured in pyproject.toml."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent

setup(
    name="batchbrew",
    version="0.1.0",
    description="Train Caffe's batch-normalised ImageNet networks, from photographs to a caffemodel",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="BSD-2-Clause",
    python_requires=">=3.10",
    packages=find_packages(include=["batchbrew", "batchbrew.*"]),
    package_data={"batchbrew": ["py.typed"], "batchbrew.proto": ["caffe.proto", "*.pyi"]},
    install_requires=[
        "protobuf>=4.21",
        "pyyaml>=6",
        "numpy>=1.22",
        "lmdb>=1.3",
        "opencv-python-headless>=4.5,<5",  # OpenCV 5 dropped its reader of Caffe models
        "pillow>=9",  # matplotlib brings it; here for GIFs and for what OpenCV reads wrongly
        "typer>=0.12",
        "rich>=13",
        "matplotlib>=3.6",
        "torch>=2.4",
        "h5py>=3.8",
        "six",  # pycaffe brings it, and its scripts count on that
    ],
    extras_require={
        "dev": [
            "pytest>=8",
            "pytest-xdist>=3",
            "hypothesis>=6",
            "ruff",
            "mypy",
            "build",
            "setuptools>=70.1",
            "scipy>=1.8",  # writes and reads MATLAB files, as a peer
        ],
        "view": ["netron"],
    },
    entry_points={"console_scripts": ["batchbrew=batchbrew.__main__:main"]},
    classifiers=[
        "Programming Language :: Python :: 3",
        "Operating System :: POSIX :: Linux",
        "Topic :: Scientific/Engineering :: Image Recognition",
    ],
)
