POST /v1/agents/{loginId}/login
{"terminal":"text","workstation":"text","password":"text","initialState":"READY"}