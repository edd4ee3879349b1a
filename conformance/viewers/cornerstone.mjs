#!/usr/bin/env node
// usage: node cornerstone.mjs SEG.dcm OUT SOURCE_FILE...
// Reads a SEG as OHIF does (Cornerstone's adapters, without OHIF and without a browser) and writes what it understood:
// OUT.json (images, labels) and OUT.bin (one byte per voxel, image after image), to be compared with another reader's voxels.
import { readFileSync, writeFileSync } from 'node:fs';
import { metaData } from '@cornerstonejs/core';
import { adaptersSEG } from '@cornerstonejs/adapters';
import dcmjs from 'dcmjs';

const { DicomMessage, DicomMetaDictionary } = dcmjs.data;
const bytesOf = file => { const b = readFileSync(file); return b.buffer.slice(b.byteOffset, b.byteOffset + b.byteLength); };
const first = value => (Array.isArray(value) ? value[0] : value);

function datasetOf(file) {
  const parsed = DicomMessage.readFile(bytesOf(file));
  const dataset = DicomMetaDictionary.naturalizeDataset(parsed.dict);
  dataset._meta = DicomMetaDictionary.namifyDataset(parsed.meta);
  return dataset;
}

/** one entry per image of the stack, as a viewer's metadata store has it: the attributes of a frame lifted to the top */
function imagesOf(dataset) {
  const count = Number(dataset.NumberOfFrames ?? 1);
  if (count === 1 && !dataset.PerFrameFunctionalGroupsSequence) return [{ ...dataset, frame: 1, id: `wadors:/instances/${dataset.SOPInstanceUID}/frames/1` }];
  const shared = first(dataset.SharedFunctionalGroupsSequence) ?? {};
  return dataset.PerFrameFunctionalGroupsSequence.map((own, k) => {
    const group = name => first(own[name] ?? shared[name]) ?? {};
    return { ...dataset, ...group('PlanePositionSequence'), ...group('PlaneOrientationSequence'), ...group('PixelMeasuresSequence'),
      frame: k + 1, id: `wadors:/instances/${dataset.SOPInstanceUID}/frames/${k + 1}` };
  });
}

function providerOf(images) {
  const byId = new Map(images.map(image => [image.id, image]));
  const modules = {
    instance: i => i,
    generalImageModule: i => ({ sopInstanceUID: i.SOPInstanceUID }),
    generalSeriesModule: i => ({ seriesInstanceUID: i.SeriesInstanceUID, modality: i.Modality }),
    imagePlaneModule: i => {
      const iop = i.ImageOrientationPatient.map(Number);
      return { frameOfReferenceUID: i.FrameOfReferenceUID, rows: i.Rows, columns: i.Columns, imageOrientationPatient: iop,
        rowCosines: iop.slice(0, 3), columnCosines: iop.slice(3), imagePositionPatient: i.ImagePositionPatient.map(Number),
        rowPixelSpacing: Number(i.PixelSpacing[0]), columnPixelSpacing: Number(i.PixelSpacing[1]), pixelSpacing: i.PixelSpacing.map(Number) };
    },
    imagePixelModule: i => ({ bitsAllocated: i.BitsAllocated, bitsStored: i.BitsStored, highBit: i.HighBit, samplesPerPixel: 1,
      photometricInterpretation: i.PhotometricInterpretation, pixelRepresentation: i.PixelRepresentation }),
  };
  return { get: (type, id) => { const image = byId.get(id); return image && modules[type]?.(image); } };
}

const [segFile, out, ...sources] = process.argv.slice(2);
if (!sources.length) { console.error('usage: node cornerstone.mjs SEG.dcm OUT SOURCE_FILE...'); process.exit(2); }
const images = sources.map(datasetOf).flatMap(imagesOf);
const provider = providerOf(images);
metaData.addProvider((type, id) => provider.get(type, id), 10000);
const found = await adaptersSEG.Cornerstone3D.Segmentation.createFromDICOMSegBuffer(images.map(i => i.id), bytesOf(segFile), { metadataProvider: provider });
const planes = found.labelMapImages[0].map(image => image.getPixelData());
const labels = found.segMetadata.data.filter(Boolean).map(s => ({ number: Number(s.SegmentNumber), label: s.SegmentLabel }));
writeFileSync(`${out}.bin`, Buffer.concat(planes.map(p => Buffer.from(p.buffer, p.byteOffset, p.byteLength))));
writeFileSync(`${out}.json`, JSON.stringify({
  images: images.map(i => ({ sop: i.SOPInstanceUID, frame: i.frame })), rows: images[0].Rows, columns: images[0].Columns, labels,
  overlapping: found.overlappingSegments, layers: found.labelMapImages.length }));
process.exit(0);
