// Modbus TCP devices of the npm package modbus-serial, told what to be by lines of JSON on standard input.
//
//   {"op": "serve", "port": n, "units": {"1": {"holding": {"0": 5}, "input": {}, "coil": {}, "identity": {}}}}
//                                  a unit that is null is behind a gateway and does not answer it
//   {"op": "set", "port": n, "unit": 1, "space": "holding", "values": {"0": 6}}
//   {"op": "get", "port": n, "unit": 1, "space": "holding", "address": 0}
//   {"op": "put", "port": n, "unit": 1, "registers": {...}}         another unit, or none that answers
//   {"op": "close", "port": n}
"use strict";
const { ServerTCP } = require("modbus-serial");
const lines = require("readline").createInterface({ input: process.stdin });
const servers = new Map();

function failure(code) {
  return Object.assign(new Error("exception " + code), { modbusErrorCode: code });
}

function unitOf(units, id) {
  if (!(id in units)) throw failure(10);
  if (units[id] === null) throw failure(11);
  return units[id];
}

function serve(port, units, done) {
  const many = (space) => (address, count, id, callback) => {
    try {
      const registers = unitOf(units, id)[space] || {};
      const values = [];
      for (let at = address; at < address + count; at += 1) {
        if (!(at in registers)) throw failure(2);
        values.push(registers[at]);
      }
      callback(null, values);
    } catch (error) {
      callback(error, []); // which it looks into even then
    }
  };
  const one = (space, kind) => (address, id, callback) =>
    many(space)(address, 1, id, (error, values) => callback(error, kind(values[0])));
  const write = (space) => (address, value, id, callback) => {
    try {
      const registers = unitOf(units, id)[space] || {};
      if (!(address in registers)) throw failure(2);
      registers[address] = Number(value);
      callback(null);
    } catch (error) {
      callback(error);
    }
  };
  const server = new ServerTCP(
    {
      getMultipleInputRegisters: many("input"),
      getMultipleHoldingRegisters: many("holding"),
      getInputRegister: one("input", Number),
      getHoldingRegister: one("holding", Number),
      getCoil: one("coil", Boolean),
      getDiscreteInput: one("discrete", Boolean),
      setRegister: write("holding"),
      setCoil: write("coil"),
      readDeviceIdentification: async (id) => {
        const identity = unitOf(units, id).identity;
        if (!identity) throw failure(1);
        return identity;
      },
    },
    { host: "127.0.0.1", port, unitID: 255, debug: false },
  );
  server.on("socketError", () => {});
  server.on("serverError", (error) => done({ error: String(error) }));
  server.on("initialized", () => {
    servers.set(port, { server, units });
    done({});
  });
}

lines.on("line", (line) => {
  const told = JSON.parse(line);
  const answer = (what) => process.stdout.write(JSON.stringify(what) + "\n");
  if (told.op === "serve") return serve(told.port, told.units, answer);
  const { server, units } = servers.get(told.port);
  if (told.op === "close") {
    servers.delete(told.port);
    return server.close(() => answer({}));
  }
  if (told.op === "put") {
    const before = units[told.unit];
    units[told.unit] = told.registers;
    return answer({ before });
  }
  const registers = (units[told.unit] ??= {});
  const space = (registers[told.space] ??= {});
  if (told.op === "set") {
    Object.assign(space, told.values);
    return answer({});
  }
  return answer({ value: space[told.address] });
});
lines.on("close", () => process.exit(0));
