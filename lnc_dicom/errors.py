"""Every error of the project, sorted by what happens next.

LncError
├── UnusableInput     the command cannot be carried out as it was given  → exit 2
├── StudyRejected     outside what we accept; a retry gives the same     → exit 3, job REJECTED
├── Unavailable       something outside us is missing for now            → retried with backoff, then job FAILED
└── Defect            one of our own promises is broken                  → exit 1, job FAILED

`code` and `do` are written once, in the class; what happened is said at the raise, in numbers and attribute names,
never in names, identifiers, dates or free text of a patient. docs/reference/errors.md lists them all.
"""

from __future__ import annotations


class LncError(Exception):
    """An error that says what happened (`what`), what to do (`do`), and the code to look it up by."""

    code = "LNC-000"
    do = "Report this."

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what

    def __str__(self) -> str:
        """One line for the console."""
        return f"{self.code} {self.what} → {self.do}"


# --- the command cannot be carried out ---------------------------------------------------------------------------
class UnusableInput(LncError):
    """The input of the command cannot be used."""

    code = "LNC-001"
    do = "Check the command and the files that it names."


class PathMissing(UnusableInput):
    """A path on the command line does not exist."""

    code = "LNC-002"
    do = "Check the spelling of the path."


class SeveralStudies(UnusableInput):
    """The files belong to more than one study."""

    code = "LNC-003"
    do = "Process one study at a time: name its folder."


class BadSettings(UnusableInput):
    """The configuration cannot be used."""

    code = "LNC-004"
    do = "Correct the configuration; `lnc config show` prints the settings in force."


class BadRules(UnusableInput):
    """The rules cannot be used."""

    code = "LNC-540"
    do = "Correct the file of rules; until then those before it stay in force."


class BadCohort(UnusableInput):
    """A cohort's table or folders do not fit together."""

    code = "LNC-005"
    do = "Correct cohort.csv and the folders beside it; docs/how-to/train-on-a-cohort.md shows an example."


# --- the study cannot be measured --------------------------------------------------------------------------------
class StudyRejected(LncError):
    """The study is outside what is accepted; sending it again gives the same answer."""

    code = "LNC-100"
    do = "See the reason."


class NoFiles(StudyRejected):
    """No DICOM object was found."""

    code = "LNC-101"
    do = "Name a folder or files that hold the DICOM objects of one study."


class NoMagneticResonance(StudyRejected):
    """The study holds no MR image."""

    code = "LNC-102"
    do = "Send a brain MR study with a T1-weighted series."


class NoT1(StudyRejected):
    """The study holds MR images but no T1-weighted brain series that can be used."""

    code = "LNC-103"
    do = "Send the study's 3D T1-weighted series (MPRAGE, BRAVO, TFE, 3D FLASH) as acquired."


class TooCoarse(StudyRejected):
    """The best T1-weighted series has voxels too large to measure the deep nuclei."""

    code = "LNC-104"
    do = "Send a T1-weighted series with slices of at most 3.5 mm and pixels of at most 2 mm."


class MissingSlices(StudyRejected):
    """Slices are missing from the series."""

    code = "LNC-105"
    do = "Send the whole series again."


class DoubledSlices(StudyRejected):
    """Several images of the series lie at the same place."""

    code = "LNC-106"
    do = "Send one acquisition: separate echoes, phases or repetitions into series of their own."


class UnevenSlices(StudyRejected):
    """The images of the series are not parallel, equal and evenly spaced."""

    code = "LNC-107"
    do = "Send the original acquisition, not a reformat, and without gantry tilt."


class FieldOfViewTooSmall(StudyRejected):
    """The series does not cover the basal ganglia."""

    code = "LNC-108"
    do = "Send a T1-weighted series that covers the whole brain."


class NoHead(StudyRejected):
    """No deep grey matter was found: a phantom, another body part, no T1 contrast, or an image too poor."""

    code = "LNC-109"
    do = "Check that the series shows a human head and that its orientation is right."


class UnsupportedTransferSyntax(StudyRejected):
    """The transfer syntax of the pixels is not supported."""

    code = "LNC-110"
    do = "Send the series uncompressed, or as JPEG Lossless, JPEG-LS Lossless, JPEG 2000 Lossless or RLE."


class UnreadablePixels(StudyRejected):
    """The pixels of the series could not be decoded."""

    code = "LNC-111"
    do = "Send the series again; check it in a viewer."


class NotT1Contrast(StudyRejected):
    """White matter, grey matter and fluid are not ordered as on a T1-weighted image."""

    code = "LNC-112"
    do = "Send a T1-weighted series; if the header calls another contrast T1, correct it at the scanner."


class PoorImage(StudyRejected):
    """The image is too noisy or too blurred to measure the deep nuclei."""

    code = "LNC-113"
    do = "Look at the series for motion, noise or thick slices. Repeat the acquisition if possible."


class UnlikeHead(StudyRejected):
    """The structures found are unlike those of any head that the network was trained on."""

    code = "LNC-114"
    do = "Look at the series for another body part, surgery, a large lesion, or a wrong orientation or voxel size."


class WrongPose(StudyRejected):
    """The head is rotated further than is possible in a scanner; the orientation in the header is probably wrong."""

    code = "LNC-115"
    do = "Compare the orientation labels in a viewer with the anatomy; correct the header at its source."


class SeveralPatients(StudyRejected):
    """The objects of the study name more than one patient."""

    code = "LNC-116"
    do = "Find out at the source whose images these are; send each patient's images as a study of their own."


class UnreadableImage(StudyRejected):
    """A NIfTI or MGH file cannot be read as one 3D image whose orientation is known."""

    code = "LNC-117"
    do = "Open the file in a viewer; convert it again from DICOM with dcm2niix, which writes the orientation."


class NothingToMeasure(StudyRejected):
    """Neither an image nor a DICOM study was found under the paths."""

    code = "LNC-118"
    do = "Name NIfTI or MGH files, folders or zip archives with them or with DICOM, or the folder of a BIDS data set."


class SomeNotMeasured(StudyRejected):
    """Of several heads some were not measured; the results of the others are complete."""

    code = "LNC-119"
    do = "Look at the columns `code` and `reason` of volumes.csv; repeat with --resume once they are mended."


class NotWanted(StudyRejected):
    """The rule that fits the study says that nothing of it is measured."""

    code = "LNC-541"
    do = "Nothing, if that was meant; else change the rule, then `lnc jobs retry`."


class NoRule(StudyRejected):
    """No rule fits the study."""

    code = "LNC-542"
    do = "See `lnc rules test`; add a rule that fits, or a last one without conditions, then `lnc jobs retry`."


# --- one map of the study cannot be used -------------------------------------------------------------------------
class NotMeasured(LncError):
    """One measurement cannot be made; it is omitted and the others continue."""

    code = "LNC-410"
    do = "See the reason."


class UnreadableSeries(NotMeasured):
    """The series of a map could not be read or converted."""

    code = "LNC-411"
    do = "Send the series again, whole; check it in a viewer."


class WrongGradients(NotMeasured):
    """Gradient directions or b-values of the diffusion-weighted images are missing or wrong."""

    code = "LNC-412"
    do = "Send the images as the scanner made them: anonymisation and conversion may remove gradients."


class OneBValue(NotMeasured):
    """The diffusion-weighted images have one b-value only; a tensor needs b = 0 as well."""

    code = "LNC-413"
    do = "Send all volumes of the diffusion-weighted series, b = 0 included."


class TooFewDirections(NotMeasured):
    """A tensor needs at least six different gradient directions."""

    code = "LNC-414"
    do = "Acquire FA with six directions or more."


class NoM0(NotMeasured):
    """The arterial spin labelling has no M0 image, so its signal has no scale."""

    code = "LNC-415"
    do = "Send the M0 image with the study, in the labelling series or in one of its own."


class UnpairedVolumes(NotMeasured):
    """Control and label images do not pair up."""

    code = "LNC-416"
    do = "Send the whole labelling series as acquired."


class UnknownScale(NotMeasured):
    """The values of a map cannot be converted to its unit."""

    code = "LNC-417"
    do = "Send the map with its real-world value mapping and units."


class NotAligned(NotMeasured):
    """A map could not be registered to the T1-weighted image."""

    code = "LNC-418"
    do = "Compare the map with the T1 in a viewer: look for another head, motion, or a wrong orientation."


class OffTheHead(NotMeasured):
    """A map does not cover the deep grey matter."""

    code = "LNC-419"
    do = "Acquire the map over the basal ganglia, in the same session as the T1."


class Implausible(NotMeasured):
    """The values of a map are implausible for a brain."""

    code = "LNC-420"
    do = "Look at the map in a viewer; check the acquisition and the settings."


class UnsupportedLabelling(NotMeasured):
    """No CBF can be computed from this kind of arterial spin labelling, or from what its header tells."""

    code = "LNC-432"
    do = "Send the CBF map that the scanner made, or acquire pairs of control and label with one post-label delay."


# --- something outside is missing for now ------------------------------------------------------------------------
class Unavailable(LncError):
    """Something outside is unavailable for now; the job is retried."""

    code = "LNC-200"
    do = "Nothing: the job is retried automatically."


class PacsUnreachable(Unavailable):
    """The PACS does not answer or refuses the association."""

    code = "LNC-201"
    do = "Check host, port and AE titles of [pacs]; delivery is retried, the results are kept."


class PacsRefused(Unavailable):
    """The PACS answered, but did not store an object."""

    code = "LNC-202"
    do = "Check that the PACS accepts the object's SOP class, then `lnc jobs retry`; the results are kept."


class DestinationUnknown(Unavailable):
    """The settings no longer have the destination of a delivery."""

    code = "LNC-203"
    do = "Give a destination this name, then `lnc jobs retry`; the results are kept."


class NotCommitted(Unavailable):
    """A destination has not committed itself to keep objects that it stored."""

    code = "LNC-530"
    do = "Ask those who run the destination why, then `lnc jobs retry`; the results are kept."


class CommitmentNotOffered(Unavailable):
    """A destination does not offer storage commitment."""

    code = "LNC-531"
    do = "Allow us storage commitment there, or set `commitment` of the destination to false; then `lnc jobs retry`."


class NotSeen(Unavailable):
    """A destination does not show objects that it stored."""

    code = "LNC-532"
    do = "Look for the objects at the destination, in its error queue too; then `lnc jobs retry`; the results are kept."


class SpoolUnwritable(Unavailable):
    """Results cannot be written to the spool: the disk is full, or it is not ours."""

    code = "LNC-204"
    do = "Make room on the disk of the spool; computing is retried."


# --- one of our promises is broken -------------------------------------------------------------------------------
class Defect(LncError):
    """One of our own promises is broken."""

    code = "LNC-300"
    do = "Report this with the code and the log."


class ModelMismatch(Defect):
    """The weights on disk are not the released ones."""

    code = "LNC-301"
    do = "Install the package again."


class ComputingEnded(Defect):
    """The process that computes ended before its result, every time that it was tried."""

    code = "LNC-302"
    do = "Compare the limits in [compute] with the machine; report the study's size and the log, then `lnc jobs retry`."
