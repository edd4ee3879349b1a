"""Single-frame MR images → one enhanced multi-frame image with the same voxels, its frames in any order."""

import copy

import numpy as np
from pydicom import Dataset
from pydicom.uid import EnhancedMRImageStorage, generate_uid


def enhanced(images, order=None):
    """Join images; frame i is image order[i]. Orientation and spacing are shared, positions per frame."""
    images = list(images)
    frames = [images[i] for i in (order if order is not None else range(len(images)))]
    first = frames[0]
    whole = copy.deepcopy(first)
    whole.SOPClassUID = whole.file_meta.MediaStorageSOPClassUID = EnhancedMRImageStorage
    whole.SOPInstanceUID = whole.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    whole.NumberOfFrames = len(frames)
    whole.PixelData = np.stack([f.pixel_array for f in frames]).tobytes()
    whole.AcquisitionContrast, whole.EchoPulseSequence = "T1", "GRADIENT"
    for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"):
        delattr(whole, name)
    whole.SharedFunctionalGroupsSequence = [_shared(first)]
    whole.PerFrameFunctionalGroupsSequence = [_frame(f, i) for i, f in enumerate(frames, start=1)]
    return whole


def macro(**values):
    """One item of a functional group."""
    item = Dataset()
    for name, value in values.items():
        setattr(item, name, value)
    return [item]


def _shared(first):
    groups = Dataset()
    groups.PixelMeasuresSequence = macro(PixelSpacing=first.PixelSpacing, SliceThickness=first.SliceThickness)
    groups.PlaneOrientationSequence = macro(ImageOrientationPatient=first.ImageOrientationPatient)
    groups.PixelValueTransformationSequence = macro(RescaleSlope=1, RescaleIntercept=0, RescaleType="US")
    groups.MRTimingAndRelatedParametersSequence = macro(RepetitionTime=2300, FlipAngle=9)
    groups.MREchoSequence = macro(EffectiveEchoTime=2.98)
    groups.MRImageFrameTypeSequence = macro(FrameType=list(first.ImageType), AcquisitionContrast="T1")
    return groups


def _frame(image, number):
    groups = Dataset()
    groups.PlanePositionSequence = macro(ImagePositionPatient=image.ImagePositionPatient)
    groups.FrameContentSequence = macro(StackID="1", InStackPositionNumber=number)
    return groups
