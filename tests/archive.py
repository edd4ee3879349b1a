"""An archive that commits itself to what it is told to, and shows what it has stored."""

import threading

from pydicom import Dataset
from pynetdicom import AE, AllStoragePresentationContexts, build_role, evt
from pynetdicom.sop_class import StorageCommitmentPushModel, StudyRootQueryRetrieveInformationModelFind

from lnc_service.demo.main import free_port
from lnc_service.settings import Pacs

COMMITMENT = "1.2.840.10008.1.20.1.1"
NO_SUCH_OBJECT = 0x0112


class Archive:
    """`keeps` says of each SOP Instance UID whether it is committed; `answers` of each request whether it is answered.

    Reports come on the same association, or on a new one to `service_port`. `counts`: whether C-FIND counts images.
    """

    def __init__(self, *, same_association=False, keeps=lambda uid: True, answers=lambda: True, counts=True):
        self.port, self.same, self.keeps, self.answers = free_port(), same_association, keeps, answers
        self.counts, self.service_port = counts, 0
        self.stored, self.asked, self.report_statuses, self.objects = [], [], [], {}
        self.reported = threading.Event()

    def __enter__(self):
        self._ae = AE(ae_title="ARCHIVE")
        self._ae.supported_contexts = AllStoragePresentationContexts
        self._ae.add_supported_context(StorageCommitmentPushModel)
        self._ae.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
        handlers = [
            (evt.EVT_C_STORE, self._on_store),
            (evt.EVT_C_FIND, self._on_find),
            (evt.EVT_N_ACTION, self._on_action),
            (evt.EVT_DIMSE_SENT, self._on_sent),
        ]
        self._ae.start_server(("127.0.0.1", self.port), block=False, evt_handlers=handlers)
        return self

    def __exit__(self, *_):
        self._ae.shutdown()

    def pacs(self, **settings):
        """How the service is told of it."""
        return Pacs(host="127.0.0.1", port=self.port, ae_title="ARCHIVE", timeout_s=5, **settings)

    def _on_store(self, event):
        uid = str(event.request.AffectedSOPInstanceUID)
        self.stored.append(uid)
        self.objects[uid] = event.dataset
        return 0

    def _on_find(self, event):
        keys = event.identifier
        matching = [d for d in self.objects.values() if d.StudyInstanceUID == keys.StudyInstanceUID]
        if keys.QueryRetrieveLevel == "IMAGE":
            matching = [d for d in matching if d.SeriesInstanceUID == keys.SeriesInstanceUID]
        else:
            matching = list({d.SeriesInstanceUID: d for d in matching}.values())
        for found in matching:
            answer = Dataset()
            for element in keys:
                setattr(answer, element.keyword, found.get(element.keyword, ""))
            answer.QueryRetrieveLevel = keys.QueryRetrieveLevel
            if self.counts and "NumberOfSeriesRelatedInstances" in keys:
                same = [d for d in self.objects.values() if d.SeriesInstanceUID == found.SeriesInstanceUID]
                answer.NumberOfSeriesRelatedInstances = len(same)
            yield 0xFF00, answer

    def _on_action(self, event):
        self.asked.append(event.action_information)
        return 0, None

    def _on_sent(self, event):
        if type(event.message).__name__ != "N_ACTION_RSP" or not self.answers():
            return
        if self.same:
            self._report(event.assoc, self.asked[-1])
            return
        ae = AE(ae_title="ARCHIVE")
        ae.add_requested_context(StorageCommitmentPushModel)
        role = build_role(StorageCommitmentPushModel, scp_role=True)
        association = ae.associate("127.0.0.1", self.service_port, ae_title="LNC", ext_neg=[role])
        self._report(association, self.asked[-1])
        association.release()

    def _report(self, association, request):
        report, failed = Dataset(), []
        report.TransactionUID = request.TransactionUID
        report.ReferencedSOPSequence = []
        for item in request.ReferencedSOPSequence:
            if self.keeps(str(item.ReferencedSOPInstanceUID)):
                report.ReferencedSOPSequence.append(item)
            else:
                item.FailureReason = NO_SUCH_OBJECT
                failed.append(item)
        if failed:
            report.FailedSOPSequence = failed
        kind = 2 if failed else 1
        status, _ = association.send_n_event_report(report, kind, StorageCommitmentPushModel, COMMITMENT)
        self.report_statuses.append(status.get("Status"))
        self.reported.set()
