// Built-ins that the host uses, captured before any handler runs: a handler that overwrites JSON.stringify or
// Array.prototype.push breaks only itself.
import fs from 'node:fs';
import { inspect, formatWithOptions } from 'node:util';

const { bind, call } = Function.prototype;
const uncurry = (method) => bind.call(call, method);

export const { parse: parseJson, stringify: toJson } = JSON;
export const { readFileSync, writeSync } = fs;
export { inspect, formatWithOptions };
export const { byteLength, allocUnsafeSlow, concat } = Buffer;
export const wait = Atomics.wait;
export const { captureStackTrace } = Error;
export const { defineProperty, getOwnPropertyNames, getPrototypeOf, keys } = Object;
export const { reallyExit } = process;
export const now = performance.now.bind(performance);
export const apply = Reflect.apply;
export const text = String;

export const slice = uncurry(String.prototype.slice);
export const replace = uncurry(String.prototype.replace);
export const includes = uncurry(String.prototype.includes);
export const lastIndexOf = uncurry(String.prototype.lastIndexOf);
export const wellFormed = uncurry(String.prototype.toWellFormed);
export const test = uncurry(RegExp.prototype.test);
export const mapGet = uncurry(Map.prototype.get);
export const mapSet = uncurry(Map.prototype.set);
export const mapDelete = uncurry(Map.prototype.delete);
export const readUInt32 = uncurry(Buffer.prototype.readUInt32BE);
export const writeUInt32 = uncurry(Buffer.prototype.writeUInt32BE);
export const writeUtf8 = uncurry(Buffer.prototype.utf8Write); // without functions that a handler can replace
export const readText = uncurry(Buffer.prototype.toString);
export const part = uncurry(Buffer.prototype.subarray);
